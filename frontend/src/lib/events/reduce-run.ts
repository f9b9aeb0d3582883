/** What events say of a run: its phases, steps, plan and end. */
import type { Draft } from './draft';
import type { Outcome, RunState } from './state';
import { NO_USAGE } from './state';
import type { KnownEvent, RunError } from './types';

export function reduceRun(draft: Draft, event: KnownEvent): void {
  const { runId, occurredAt: at } = event;
  switch (event.eventType) {
    case 'run.requested': {
      const { run_id, task, model, limits, requested_at } = event.payload;
      const bounds = {
        maxSteps: limits.max_steps,
        maxCostNano: limits.max_cost_nanousd,
        maxWallMs: limits.max_wall_ms,
        maxFixAttempts: limits.max_fix_attempts,
      };
      draft.putRun(newRun({ id: run_id, task, model, limits: bounds, requestedAt: requested_at }));
      return;
    }
    case 'run.phase_changed': {
      const { from, to, reason } = event.payload;
      draft.run(runId, ({ phases }) => ({ phase: to, phases: [...phases, { from, to, reason, at }] }));
      return;
    }
    case 'step.requested': {
      const { step_no, attempt, purpose, not_before } = event.payload;
      const notBefore = not_before ?? null;
      draft.run(runId, () => ({
        step: { stepNo: step_no, attempt, purpose, status: 'requested', since: at, notBefore },
      }));
      return;
    }
    case 'step.started': {
      const { step_no, attempt } = event.payload;
      draft.run(runId, ({ step, startedAt }) => ({
        status: 'active',
        startedAt: startedAt ?? at,
        step: {
          stepNo: step_no,
          attempt,
          purpose: step?.purpose ?? 'act',
          status: 'started',
          since: at,
          notBefore: null,
        },
      }));
      return;
    }
    case 'step.completed':
    case 'step.failed':
    case 'step.interrupted':
      draft.run(runId, ({ step }) => ({ step: step && { ...step, status: 'ended', since: at } }));
      return;
    case 'plan.proposed':
    case 'plan.revised': {
      const { items } = event.payload;
      draft.run(runId, () => ({ plan: items }));
      return;
    }
    case 'tests.skipped': {
      const { reason } = event.payload;
      draft.run(runId, () => ({ testsSkipped: reason }));
      return;
    }
    case 'fix.attempted': {
      const { attempt } = event.payload;
      draft.run(runId, () => ({ fixAttempts: attempt }));
      return;
    }
    case 'run.completed': {
      const { summary } = event.payload;
      return end(draft, event, 'succeeded', { summary });
    }
    case 'run.failed': {
      const { error } = event.payload;
      return end(draft, event, 'failed', { error });
    }
    case 'run.cancelled':
      return end(draft, event, 'cancelled', {}, event.payload.cancelled_by);
    case 'run.retried':
      draft.run(runId, () => ({ status: 'queued', outcome: null, error: null, endedAt: null, phases: [], step: null }));
      if (runId) draft.say({ kind: 'retried', key: `retried:${event.position}`, at, runId });
      return;
  }
}

function end(
  draft: Draft,
  { runId, occurredAt, position }: KnownEvent,
  outcome: Outcome,
  change: { summary?: string; error?: RunError },
  by: string | null = null,
): void {
  if (!runId) return;
  draft.run(runId, ({ step }) => ({
    ...change,
    status: 'ended',
    outcome,
    endedAt: occurredAt,
    step: step && { ...step, status: 'ended' },
  }));
  draft.set({ pending: draft.state.pending.filter((id) => draft.state.toolCalls.get(id)?.runId !== runId) });
  const error = change.error ?? null;
  draft.say({ kind: 'ended', key: `ended:${position}`, at: occurredAt, runId, outcome, error, by });
}

function newRun(known: Pick<RunState, 'id' | 'task' | 'model' | 'limits' | 'requestedAt'>): RunState {
  return {
    ...known,
    startedAt: null,
    endedAt: null,
    phase: 'idle',
    status: 'queued',
    outcome: null,
    phases: [],
    step: null,
    plan: [],
    tests: [],
    testsSkipped: null,
    fixAttempts: 0,
    error: null,
    summary: null,
    usage: NO_USAGE,
  };
}
