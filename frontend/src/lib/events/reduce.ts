/** The fold of a session's events into what Mission Control shows. Pure: no clock, no network; shared with replay. */
import { Draft } from './draft';
import { reduceCall } from './reduce-call';
import { reduceMoney } from './reduce-money';
import { reduceRun } from './reduce-run';
import type { FileChangeState, MissionState } from './state';
import type { FileChange, KnownEvent, LogEvent } from './types';
import { known } from './types';

export type { MissionState } from './state';
export { emptyMission } from './state';

/** Folds events, in order, into a new state. Folding them one by one or all at once gives the same. */
export function fold(base: MissionState, events: readonly LogEvent[]): MissionState {
  const draft = new Draft(base);
  for (const event of events) {
    draft.set({ count: draft.state.count + 1, position: event.position });
    const read = known(event);
    if (read !== null) reduce(draft, read);
  }
  return draft.done();
}

function reduce(draft: Draft, event: KnownEvent): void {
  switch (event.eventType) {
    case 'session.started': {
      const { session_id, title, origin, model, approval_policy, import_source } = event.payload;
      const importSource = import_source ? { format: import_source.format, fileName: import_source.file_name } : null;
      draft.set({
        session: {
          id: session_id,
          title,
          origin,
          model: model ?? null,
          approvalPolicy: approval_policy,
          importSource,
          startedAt: event.occurredAt,
        },
      });
      return;
    }
    case 'content.erased': {
      const { session_id, kept } = event.payload;
      draft.forget();
      draft.set({
        session: {
          id: session_id,
          title: '(erased)',
          origin: kept.origin,
          model: null,
          approvalPolicy: 'standard',
          importSource: null,
          startedAt: event.occurredAt,
        },
      });
      return;
    }
    case 'message.received': {
      const { message_id, content, delivery, run_id } = event.payload;
      draft.say({ kind: 'user', key: message_id, at: event.occurredAt, text: content, delivery, runId: run_id });
      return;
    }
    case 'thinking.completed': {
      const { step_no, content, duration_ms } = event.payload;
      const runId = event.runId ?? '';
      const key = event.position;
      draft.think({ key, runId, stepNo: step_no, at: event.occurredAt, text: content, durationMs: duration_ms });
      return;
    }
    case 'assistant_message.completed': {
      const { message_id, step_no, content } = event.payload;
      const runId = event.runId ?? '';
      draft.say({ kind: 'assistant', key: message_id, at: event.occurredAt, text: content, runId, stepNo: step_no });
      return;
    }
    case 'file.created':
      return changeFile(draft, event, 'created', event.payload);
    case 'file.modified':
      return changeFile(draft, event, 'modified', event.payload);
    case 'file.deleted':
      return changeFile(draft, event, 'deleted', event.payload);
    default:
      reduceRun(draft, event);
      reduceCall(draft, event);
      reduceMoney(draft, event);
  }
}

function changeFile(draft: Draft, event: KnownEvent, kind: FileChangeState['kind'], file: FileChange): void {
  const change: FileChangeState = {
    kind,
    path: file.path,
    position: event.position,
    at: event.occurredAt,
    toolCallId: file.tool_call_id ?? null,
    linesAdded: file.lines_added,
    linesRemoved: file.lines_removed,
    patch: file.patch ?? null,
  };
  const before = draft.state.files[file.path];
  draft.putFile({
    path: file.path,
    deleted: kind === 'deleted',
    bytes: file.bytes ?? null,
    linesAdded: (before?.linesAdded ?? 0) + file.lines_added,
    linesRemoved: (before?.linesRemoved ?? 0) + file.lines_removed,
    changes: [...(before?.changes ?? []), change],
  });
  if (file.tool_call_id) draft.call(file.tool_call_id, (call) => ({ files: [...call.files, change] }));
}
