import { describe, expect, it } from 'vitest';
import { Events, runId } from '@/test/events';
import { LiveItems } from './live';
import type { LiveFrame, LogEvent } from './types';

const step = `step:${runId.slice(4)}:1:1`;
const frame = (itemId: string, offset: number, text: string): LiveFrame => ({
  __typename: 'LiveFrame',
  runId,
  itemId,
  kind: 'TEXT',
  offset,
  text,
  done: false,
});
const last = (events: Events) => events.all.at(-1) as LogEvent;

describe('LiveItems', () => {
  it('counts offsets in bytes, not in characters', () => {
    const live = new LiveItems();
    live.take(frame(`${step}:text`, 0, 'Grüße 🙂'));
    live.take(frame(`${step}:text`, 12, '!'));
    expect(live.all.get(`${step}:text`)?.text).toBe('Grüße 🙂!');
  });

  it('ignores a piece that does not join on, and begins anew at offset 0', () => {
    const live = new LiveItems();
    live.take(frame('a', 5, 'late'));
    expect(live.all.size).toBe(0);
    live.take(frame('a', 0, 'one'));
    live.take(frame('a', 7, 'hole'));
    expect(live.all.get('a')?.text).toBe('one');
    live.take(frame('a', 0, 'one two'));
    expect(live.all.get('a')?.text).toBe('one two');
  });

  it('gives way to the durable event of the same step only', () => {
    const live = new LiveItems();
    live.take(frame(`${step}:text`, 0, 'words'));
    live.take(frame(`${step}:thinking`, 0, 'thoughts'));
    live.settle(last(new Events().add('thinking.completed', { step_no: 1, content: { text: 'x' }, duration_ms: 1 })));
    expect([...live.all.keys()]).toEqual([`${step}:text`]);
    live.settle(last(new Events().add('step.interrupted', { step_no: 1, attempt: 1, reason: 'x', cost_nanousd: 0 })));
    expect(live.all.size).toBe(0);
  });

  it('is not brought back by a late frame', () => {
    const live = new LiveItems();
    live.settle(last(new Events().add('tool_call.succeeded', { tool_call_id: 'tool_call:1', output: { text: '' } })));
    live.take(frame('tool_call:1', 0, 'again'));
    live.settle(
      last(new Events().add('step.completed', { step_no: 1, attempt: 1, finish_reason: 'stop', cost_nanousd: 0 })),
    );
    live.take(frame(`${step}:text`, 0, 'again'));
    expect(live.all.size).toBe(0);
  });
});
