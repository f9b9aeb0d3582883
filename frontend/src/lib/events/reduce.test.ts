import { describe, expect, it } from 'vitest';
import { runId, story } from '@/test/events';
import { emptyMission, fold } from './reduce';

const { all } = story();
const state = fold(emptyMission(), all);
const run = state.runs[runId];
const until = (eventType: string) =>
  fold(emptyMission(), all.slice(0, all.findIndex((event) => event.eventType === eventType) + 1));

describe('the fold of a run', () => {
  it('keeps the conversation in order', () => {
    expect(state.chat.map(({ kind }) => kind)).toEqual(['user', 'assistant', 'tool', 'tool', 'ended']);
  });

  it('waits while an approval is open, and not longer', () => {
    const asked = until('approval.requested');
    expect(asked.pending).toEqual(['tool_call:2']);
    expect(asked.runs[runId]?.status).toBe('waiting');
    expect(asked.toolCalls.get('tool_call:2')?.status).toBe('asked');
    const granted = until('approval.granted');
    expect(granted.pending).toEqual([]);
    expect(granted.toolCalls.get('tool_call:2')?.approval?.decision).toMatchObject({ granted: true, waitedMs: 900 });
  });

  it('keeps each origin of money apart and gives reservations back', () => {
    expect(until('spend.reserved').runs[runId]?.usage.reserved).toEqual({ 'llm_call:1': 20_000 });
    expect(run?.usage.reserved).toEqual({});
    expect(run?.usage.spentNano).toEqual({ metered: 0, notional: 12_000, imported: 0 });
  });

  it('leaves unreported what was not reported', () => {
    expect(run?.usage.tokens).toEqual({ input_tokens: 10, output_tokens: 5 });
  });

  it('counts a file over its changes and shows them at their call', () => {
    expect(state.files['a.py']).toMatchObject({ linesAdded: 4, linesRemoved: 1, deleted: false });
    expect(state.toolCalls.get('tool_call:1')?.files).toHaveLength(1);
  });

  it('ends with the tests green', () => {
    expect(run).toMatchObject({ status: 'ended', outcome: 'succeeded', phase: 'done', fixAttempts: 1 });
    expect(run?.tests.map(({ failed }) => failed)).toEqual([1, 0]);
  });

  it('forgets everything but its place in the log when the content is erased', () => {
    const kept = { origin: 'web', owner_user_id: 'user:1', workspace_id: 'workspace:1' } as const;
    const payload = {
      session_id: 'session:1',
      positions: [],
      payload_bytes: 1,
      blobs: 0,
      reason: 'asked for',
      requested_by: 'user:1',
      kept,
    };
    const erased = { ...all[0], eventType: 'content.erased', position: '1-900', payload } as (typeof all)[number];
    const gone = all.map((event) => ({ ...event, payload: null }));
    const live = fold(state, [erased]);
    expect(live).toEqual(fold(emptyMission(), [...gone, erased]));
    expect(live.session?.title).toBe('(erased)');
    expect([live.chat, live.runIds, live.files]).toEqual([[], [], {}]);
  });

  it('goes over what a later release wrote', () => {
    const strange = { ...all[0], eventType: 'moon.risen', eventVersion: 7, position: '1-900' } as (typeof all)[number];
    const after = fold(state, [strange]);
    expect(after.count).toBe(state.count + 1);
    expect(after.runs).toBe(state.runs);
  });

  it('does not change the state it was given', () => {
    const before = until('plan.proposed');
    const copy = structuredClone(before);
    fold(before, all.slice(before.count));
    expect(before).toEqual(copy);
  });
});
