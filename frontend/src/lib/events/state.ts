/** What the fold of a session's events knows. Values are never changed in place once a fold has returned. */
import type { ChargeOrigin, Content, Phase, PlanItem, RunError, Scope, TokenCounts } from './types';

interface SessionFacts {
  id: string;
  title: string;
  origin: 'web' | 'cli' | 'demo' | 'import';
  model: string | null;
  approvalPolicy: string;
  importSource: { format: string; fileName: string } | null;
  startedAt: string;
}

interface PhaseChange {
  from: Phase;
  to: Phase;
  reason: string;
  at: string;
}
interface StepState {
  stepNo: number;
  attempt: number;
  purpose: string;
  status: 'requested' | 'started' | 'ended';
  since: string;
  /** Not to be begun earlier: a wait after a failure that passes. */
  notBefore: string | null;
}
export interface TestResult {
  passed: number;
  failed: number;
  skipped: number;
  command: string;
  durationMs: number;
  toolCallId: string;
}
type RunStatus = 'queued' | 'active' | 'waiting' | 'ended';
export type Outcome = 'succeeded' | 'failed' | 'cancelled';
export interface RunState {
  id: string;
  task: Content;
  model: string;
  limits: { maxSteps: number; maxCostNano: number; maxWallMs: number; maxFixAttempts: number };
  requestedAt: string;
  startedAt: string | null;
  endedAt: string | null;
  phase: Phase;
  status: RunStatus;
  outcome: Outcome | null;
  phases: PhaseChange[];
  step: StepState | null;
  plan: PlanItem[];
  tests: TestResult[];
  testsSkipped: string | null;
  fixAttempts: number;
  error: RunError | null;
  summary: string | null;
  usage: UsageState;
}

export interface UsageState {
  calls: number;
  estimatedCalls: number;
  tokens: TokenCounts;
  spentNano: Record<ChargeOrigin, number>;
  /** Set aside for calls under way, by call. */
  reserved: Record<string, number>;
}

export interface ApprovalState {
  id: string;
  reason: string;
  offeredScopes: Scope[];
  askedAt: string;
  decision: {
    granted: boolean;
    scope: Scope | null;
    by: string;
    via: string;
    reason: string | null;
    waitedMs: number;
  } | null;
}
export type ToolCallStatus =
  | 'requested'
  | 'asked'
  | 'approved'
  | 'started'
  | 'succeeded'
  | 'failed'
  | 'timed_out'
  | 'cancelled'
  | 'declined'
  | 'orphaned';
export interface ToolCallState {
  id: string;
  runId: string;
  stepNo: number;
  tool: string;
  arguments: Content;
  status: ToolCallStatus;
  requestedAt: string;
  startedAt: string | null;
  endedAt: string | null;
  durationMs: number | null;
  exitCode: number | null;
  output: Content | null;
  /** Why it failed, was declined or is orphaned. */
  problem: string | null;
  approvedBy: string | null;
  approval: ApprovalState | null;
  tests: TestResult | null;
  files: FileChangeState[];
}

export interface FileChangeState {
  kind: 'created' | 'modified' | 'deleted';
  path: string;
  position: string;
  at: string;
  toolCallId: string | null;
  linesAdded: number;
  linesRemoved: number;
  patch: Content | null;
}
export interface FileState {
  path: string;
  deleted: boolean;
  bytes: number | null;
  linesAdded: number;
  linesRemoved: number;
  changes: FileChangeState[];
}

export type ChatItem =
  | { kind: 'user'; key: string; at: string; text: Content; delivery: 'now' | 'steer' | 'record'; runId: string }
  | { kind: 'assistant'; key: string; at: string; text: Content; runId: string; stepNo: number }
  | { kind: 'tool'; key: string; at: string; toolCallId: string }
  | { kind: 'retried'; key: string; at: string; runId: string }
  | {
      kind: 'ended';
      key: string;
      at: string;
      runId: string;
      outcome: Outcome;
      error: RunError | null;
      by: string | null;
    };

export interface ThinkingItem {
  key: string;
  runId: string;
  stepNo: number;
  at: string;
  text: Content;
  durationMs: number;
}

export interface MissionState {
  count: number;
  position: string | null;
  session: SessionFacts | null;
  runs: Readonly<Record<string, RunState>>;
  /** Oldest first. */
  runIds: readonly string[];
  chat: readonly ChatItem[];
  toolCalls: ReadonlyMap<string, ToolCallState>;
  thinking: readonly ThinkingItem[];
  files: Readonly<Record<string, FileState>>;
  /** Calls that wait for a person, oldest first. */
  pending: readonly string[];
}

export const NO_USAGE: UsageState = {
  calls: 0,
  estimatedCalls: 0,
  tokens: {},
  spentNano: { metered: 0, notional: 0, imported: 0 },
  reserved: {},
};

export function emptyMission(): MissionState {
  return {
    count: 0,
    position: null,
    session: null,
    runs: {},
    runIds: [],
    chat: [],
    toolCalls: new Map(),
    thinking: [],
    files: {},
    pending: [],
  };
}
