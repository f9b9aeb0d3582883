/** What the agent is doing and why, from the folded events. */

import type { MissionState, RunState, ToolCallState } from '@/lib/events/state';
import { meaningOf } from '@/lib/events/tools';
import { firstLine } from '@/lib/format/text';

export type Tone = 'neutral' | 'live' | 'waiting' | 'ok' | 'danger';
export interface AgentStatus {
  word: string;
  tone: Tone;
  /** What it is about, or why it is so. */
  cause: string;
  /** Since when; null where that does not matter any more. */
  since: string | null;
  working: boolean;
}

export function latestRun(state: MissionState): RunState | null {
  const id = state.runIds.at(-1);
  return id === undefined ? null : (state.runs[id] ?? null);
}

const PURPOSE: Record<string, string> = {
  plan: 'making a plan',
  act: 'deciding what to do next',
  fix: 'working out a fix',
  deliver: 'summing up',
};

export function agentStatus(state: MissionState): AgentStatus {
  const run = latestRun(state);
  if (run === null) return { word: 'Idle', tone: 'neutral', cause: 'no task yet', since: null, working: false };
  if (run.status === 'ended') return ended(run);
  const pending = state.pending[0];
  const asked = pending === undefined ? undefined : state.toolCalls.get(pending);
  if (asked !== undefined) {
    const cause = `approval: ${describe(asked)}`;
    return { word: 'Waiting for you', tone: 'waiting', cause, since: asked.approval?.askedAt ?? null, working: true };
  }
  const open = openCall(state, run.id);
  if (open?.status === 'started') {
    return { word: 'Working', tone: 'live', cause: describe(open), since: open.startedAt, working: true };
  }
  if (open !== null) {
    return {
      word: 'Working',
      tone: 'live',
      cause: `starting: ${describe(open)}`,
      since: open.requestedAt,
      working: true,
    };
  }
  const { step } = run;
  if (step?.status === 'started') {
    const cause = `${PURPOSE[step.purpose] ?? 'thinking'} (step ${step.stepNo})`;
    return { word: 'Working', tone: 'live', cause, since: step.since, working: true };
  }
  const queued = run.startedAt === null;
  const since = step?.since ?? run.requestedAt;
  const cause = step?.notBefore ? 'pausing before another try' : queued ? 'for a free worker' : 'between two steps';
  return { word: queued ? 'Queued' : 'Working', tone: queued ? 'neutral' : 'live', cause, since, working: true };
}

function describe(call: ToolCallState): string {
  const { title, command } = meaningOf(call);
  return command ? firstLine(command, 80) : title;
}

function openCall(state: MissionState, runId: string): ToolCallState | null {
  for (let i = state.chat.length - 1; i >= 0 && i > state.chat.length - 50; i--) {
    const item = state.chat[i];
    if (item?.kind !== 'tool') continue;
    const call = state.toolCalls.get(item.toolCallId);
    if (call?.runId !== runId) return null;
    if (call.status === 'started' || call.status === 'approved') return call;
  }
  return null;
}

function ended(run: RunState): AgentStatus {
  const working = false;
  if (run.outcome === 'succeeded') {
    const tests = run.tests.at(-1);
    const cause = tests
      ? `${tests.passed} of ${tests.passed + tests.failed} tests pass`
      : (run.testsSkipped ?? 'finished');
    return { word: 'Done', tone: 'ok', cause, since: null, working };
  }
  if (run.outcome === 'cancelled')
    return { word: 'Stopped', tone: 'neutral', cause: 'by a person', since: null, working };
  return { word: 'Failed', tone: 'danger', cause: run.error?.message ?? 'without a reason', since: null, working };
}

export function runMs(run: RunState, now: number): number {
  return (run.endedAt ? Date.parse(run.endedAt) : now) - Date.parse(run.requestedAt);
}
