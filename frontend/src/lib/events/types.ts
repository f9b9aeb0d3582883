/** The events of the log as this client reads them. Names and fields are those of the stored payloads. */

export interface Content {
  text: string;
  /** Where the whole text is; then `text` is a preview. */
  blob?: { sha256: string; bytes: number };
}

export type Phase = 'idle' | 'planning' | 'executing' | 'testing' | 'fixing' | 'done' | 'error';
export type PlanStatus = 'pending' | 'in_progress' | 'done';
export type Scope = 'once' | 'run';
export type ChargeOrigin = 'metered' | 'notional' | 'imported';
export interface PlanItem {
  text: string;
  status: PlanStatus;
}
export interface RunError {
  kind: string;
  retryable: boolean;
  user_action: 'none' | 'retry' | 'settings';
  message: string;
}
export interface FileChange {
  path: string;
  before_sha256?: string;
  after_sha256?: string;
  bytes?: number;
  lines_added: number;
  lines_removed: number;
  patch?: Content;
  run_id: string;
  tool_call_id?: string;
}
export interface TokenCounts {
  input_tokens?: number;
  cache_read_tokens?: number;
  cache_write_tokens?: number;
  output_tokens?: number;
  reasoning_tokens?: number;
}
interface OfStep {
  step_no: number;
}
interface OfAttempt extends OfStep {
  attempt: number;
}
interface OfCall {
  tool_call_id: string;
}
interface OfApproval extends OfCall {
  approval_id: string;
  decided_by: string;
  via: string;
  waited_ms: number;
}
interface OfCharge {
  llm_call_id: string;
  session_id: string;
}

/** The payload of each stored type that this client understands. Others are shown as they are. */
export interface Payloads {
  'session.started': {
    session_id: string;
    title: string;
    owner_user_id: string;
    workspace_id: string;
    origin: 'web' | 'cli' | 'demo' | 'import';
    model?: string;
    approval_policy: string;
    import_source?: { format: string; file_name: string; sha256: string; bytes: number };
  };
  'content.erased': {
    session_id: string;
    positions: { first: number; last: number }[];
    payload_bytes: number;
    blobs: number;
    reason: string;
    requested_by: string;
    kept: { origin: 'web' | 'cli' | 'demo' | 'import'; owner_user_id: string; workspace_id: string };
  };
  'message.received': {
    message_id: string;
    content: Content;
    delivery: 'now' | 'steer' | 'record';
    run_id: string;
  };
  'run.requested': {
    run_id: string;
    trigger: 'message' | 'retry' | 'import';
    task: Content;
    model: string;
    limits: { max_steps: number; max_cost_nanousd: number; max_wall_ms: number; max_fix_attempts: number };
    requested_at: string;
  };
  'run.steered': { message_id: string; content: Content };
  'run.phase_changed': { from: Phase; to: Phase; reason: string };
  'step.requested': OfAttempt & { purpose: string; not_before?: string };
  'step.started': OfAttempt & { llm_call_id: string; model: string };
  'thinking.completed': OfStep & { content: Content; duration_ms: number };
  'assistant_message.completed': OfStep & { message_id: string; content: Content };
  'plan.proposed': OfStep & { items: PlanItem[] };
  'plan.revised': OfStep & { items: PlanItem[] };
  'step.completed': OfAttempt & { finish_reason: string; cost_nanousd: number };
  'step.failed': OfAttempt & { error: RunError; cost_nanousd: number };
  'step.interrupted': OfAttempt & { reason: string; cost_nanousd: number };
  'tool_call.requested': OfCall & OfStep & { index: number; tool: string; arguments: Content };
  'approval.requested': OfCall & { approval_id: string; reason: string; offered_scopes: Scope[]; asked_at: string };
  'approval.granted': OfApproval & { scope: Scope };
  'approval.denied': OfApproval & { reason: string };
  'tool_call.approved': OfCall & { by: 'policy' | 'person' | 'grant' | 'record' };
  'tool_call.declined': OfCall & { reason: string };
  'tool_call.started': OfCall & { worker_id: string; timeout_ms: number };
  'tool_call.succeeded': OfCall & { exit_code?: number; duration_ms?: number; output: Content };
  'tool_call.failed': OfCall & {
    failure: 'failed' | 'timed_out' | 'cancelled';
    code: string;
    message: string;
    duration_ms?: number;
    output: Content;
  };
  'tool_call.orphaned': OfCall & { reason: string };
  'tests.ran': OfCall & {
    framework: string;
    command: string;
    passed: number;
    failed: number;
    skipped: number;
    duration_ms: number;
  };
  'tests.skipped': { reason: string };
  'fix.attempted': { attempt: number; failed: number };
  'run.completed': { summary: string; steps: number; duration_ms?: number; cost_nanousd: number };
  'run.failed': { error: RunError; phase: Phase };
  'run.cancelled': { cancelled_by: string; reason: string };
  'run.retried': { requested_by: string };
  'spend.reserved': OfCharge & { run_id: string; origin: ChargeOrigin; est_nanousd: number };
  'usage.metered': OfCharge & {
    run_id: string;
    calls: number;
    tokens: TokenCounts;
    usage_source: 'provider' | 'estimated' | 'imported';
  };
  'usage.charged': OfCharge & { run_id: string; origin: ChargeOrigin; cost_nanousd: number };
  'reservation.settled': OfCharge & { reserved_nanousd: number; actual_nanousd: number };
  'reservation.released': OfCharge & { reserved_nanousd: number; reason: string };
  'file.created': FileChange;
  'file.modified': FileChange;
  'file.deleted': FileChange;
  'run.erased': { run_id: string };
  'workspace.erased': { workspace_id: string };
  'workspace.created': { workspace_id: string; session_id: string };
}
export type EventType = keyof Payloads;

/** What every event carries beside its payload. */
interface Envelope {
  position: string;
  eventVersion: number;
  streamId: string;
  sequence: number;
  runId?: string | null;
  actorId: string;
  occurredAt: string;
  recordedAt: string;
}

/** An event of the log. `eventType` may be one that this release does not know; `payload` is null once it was erased. */
export interface LogEvent extends Envelope {
  eventType: string;
  payload: unknown;
}

/** An event whose payload has the shape of its type. */
export type KnownEvent = { [T in EventType]: Envelope & { eventType: T; payload: Payloads[T] } }[EventType];

const KNOWN_VERSION = 1;

/** The event with its payload's type, or null when a later release wrote it. */
export function known(event: LogEvent): KnownEvent | null {
  const readable = event.eventVersion === KNOWN_VERSION && typeof event.payload === 'object' && event.payload !== null;
  return readable ? (event as KnownEvent) : null;
}

export type LiveKind = 'THINKING' | 'TEXT' | 'TOOL_OUTPUT';

export type Frame =
  | { __typename: 'EventsFrame'; prev?: string | null; events: LogEvent[] }
  | {
      __typename: 'LiveFrame';
      runId: string;
      itemId: string;
      kind: LiveKind;
      offset: number;
      text: string;
      done: boolean;
    }
  | { __typename: 'CaughtUpFrame'; position: string }
  | { __typename: 'HeartbeatFrame'; position: string }
  | { __typename: 'FellBehindFrame'; position: string };
export type LiveFrame = Extract<Frame, { __typename: 'LiveFrame' }>;
