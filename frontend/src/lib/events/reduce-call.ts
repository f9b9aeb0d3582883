/** What events say of a tool call: asked, approved, under way, settled. */
import type { Draft } from './draft';
import type { TestResult, ToolCallState } from './state';
import type { KnownEvent, Payloads } from './types';

export function reduceCall(draft: Draft, event: KnownEvent): void {
  const { runId, occurredAt: at } = event;
  switch (event.eventType) {
    case 'tool_call.requested': {
      const { tool_call_id: id, step_no, tool, arguments: args } = event.payload;
      draft.putCall(newCall({ id, runId: runId ?? '', stepNo: step_no, tool, arguments: args, requestedAt: at }));
      draft.say({ kind: 'tool', key: id, at, toolCallId: id });
      return;
    }
    case 'approval.requested': {
      const { tool_call_id, approval_id, reason, offered_scopes, asked_at } = event.payload;
      const approval = { id: approval_id, reason, offeredScopes: offered_scopes, askedAt: asked_at, decision: null };
      draft.call(tool_call_id, () => ({ status: 'asked', approval }));
      draft.set({ pending: [...draft.state.pending, tool_call_id] });
      draft.run(runId, () => ({ status: 'waiting' }));
      return;
    }
    case 'approval.granted':
      return decide(draft, event.payload, runId, { granted: true, scope: event.payload.scope, reason: null });
    case 'approval.denied':
      return decide(draft, event.payload, runId, { granted: false, scope: null, reason: event.payload.reason });
    case 'tool_call.approved': {
      const { tool_call_id, by } = event.payload;
      draft.call(tool_call_id, () => ({ status: 'approved', approvedBy: by }));
      return;
    }
    case 'tool_call.started':
      draft.call(event.payload.tool_call_id, () => ({ status: 'started', startedAt: at }));
      draft.run(runId, ({ startedAt }) => ({ status: 'active', startedAt: startedAt ?? at }));
      return;
    case 'tool_call.succeeded': {
      const { tool_call_id, exit_code, duration_ms, output } = event.payload;
      const durationMs = duration_ms ?? null;
      settle(draft, tool_call_id, {
        status: 'succeeded',
        endedAt: at,
        exitCode: exit_code ?? null,
        durationMs,
        output,
      });
      return;
    }
    case 'tool_call.failed': {
      const { tool_call_id, failure, message, duration_ms, output } = event.payload;
      settle(draft, tool_call_id, {
        status: failure,
        endedAt: at,
        durationMs: duration_ms ?? null,
        output,
        problem: message,
      });
      return;
    }
    case 'tool_call.declined':
      settle(draft, event.payload.tool_call_id, { status: 'declined', endedAt: at, problem: event.payload.reason });
      return;
    case 'tool_call.orphaned':
      settle(draft, event.payload.tool_call_id, { status: 'orphaned', endedAt: at, problem: event.payload.reason });
      return;
    case 'tests.ran': {
      const { passed, failed, skipped, command, duration_ms, tool_call_id } = event.payload;
      const result: TestResult = {
        passed,
        failed,
        skipped,
        command,
        durationMs: duration_ms,
        toolCallId: tool_call_id,
      };
      draft.call(tool_call_id, () => ({ tests: result }));
      draft.run(runId, ({ tests }) => ({ tests: [...tests, result] }));
      return;
    }
  }
}

function decide(
  draft: Draft,
  answer: Payloads['approval.granted'] | Payloads['approval.denied'],
  runId: string | null | undefined,
  said: { granted: boolean; scope: 'once' | 'run' | null; reason: string | null },
): void {
  const { tool_call_id, decided_by: by, via, waited_ms: waitedMs } = answer;
  draft.call(tool_call_id, ({ approval }) => ({
    approval: approval && { ...approval, decision: { ...said, by, via, waitedMs } },
  }));
  draft.set({ pending: draft.state.pending.filter((id) => id !== tool_call_id) });
  draft.run(runId, () => ({ status: 'active' }));
}

function settle(draft: Draft, id: string, change: Partial<ToolCallState>): void {
  draft.call(id, () => change);
  if (draft.state.pending.includes(id)) draft.set({ pending: draft.state.pending.filter((other) => other !== id) });
}

function newCall(
  known: Pick<ToolCallState, 'id' | 'runId' | 'stepNo' | 'tool' | 'arguments' | 'requestedAt'>,
): ToolCallState {
  return {
    ...known,
    status: 'requested',
    startedAt: null,
    endedAt: null,
    durationMs: null,
    exitCode: null,
    output: null,
    problem: null,
    approvedBy: null,
    approval: null,
    tests: null,
    files: [],
  };
}
