/** Builds events and frames for tests: positions grow by themselves. */
import type { EventType, Frame, LogEvent, Payloads } from '@/lib/events/types';

const RUN = 'run:01900000-0000-7000-8000-0000000000aa';
const START = Date.parse('2026-01-01T00:00:00Z');

export class Events {
  readonly all: LogEvent[] = [];

  add<T extends EventType>(eventType: T, payload: Payloads[T], runId: string | null = RUN): this {
    const at = new Date(START + this.all.length * 1_000).toISOString();
    this.all.push({
      // Other sessions write to the same book: positions have holes, `prev` does not.
      position: `1-${this.all.length * 3 + 1}`,
      eventType,
      eventVersion: 1,
      streamId: runId ?? 'session:1',
      sequence: this.all.length + 1,
      runId,
      actorId: 'worker:1',
      occurredAt: at,
      recordedAt: at,
      payload,
    });
    return this;
  }

  /** The events from `from` up to and without `to` as one frame. */
  frame(from: number, to: number): Frame {
    const prev = this.all[from - 1]?.position ?? null;
    return { __typename: 'EventsFrame', prev, events: this.all.slice(from, to) };
  }
}

export const runId = RUN;

/** A run as it really goes: plan, write, ask, a red test, a fix, done. */
export function story(): Events {
  const text = (value: string) => ({ text: value });
  const limits = { max_steps: 40, max_cost_nanousd: 2_000_000_000, max_wall_ms: 1, max_fix_attempts: 3 };
  const call = (id: string) => ({ tool_call_id: id });
  const tests = { framework: 'unittest', command: 'python3 -m unittest', skipped: 0, duration_ms: 9 };
  const spend = { llm_call_id: 'llm_call:1', session_id: 'session:1', run_id: RUN };
  return new Events()
    .add(
      'session.started',
      {
        session_id: 'session:1',
        title: 'Roman numerals',
        owner_user_id: 'user:1',
        workspace_id: 'workspace:1',
        origin: 'demo',
        approval_policy: 'standard',
      },
      null,
    )
    .add('message.received', { message_id: 'message:1', content: text('do it'), delivery: 'now', run_id: RUN }, null)
    .add('run.requested', {
      run_id: RUN,
      trigger: 'message',
      task: text('do it'),
      model: 'scripted/daybook-1',
      limits,
      requested_at: '2026-01-01T00:00:02Z',
    })
    .add('step.requested', { step_no: 1, attempt: 1, purpose: 'plan' })
    .add('run.phase_changed', { from: 'idle', to: 'planning', reason: 'a task' })
    .add('spend.reserved', { ...spend, origin: 'notional', est_nanousd: 20_000 })
    .add('step.started', { step_no: 1, attempt: 1, llm_call_id: 'llm_call:1', model: 'scripted/daybook-1' })
    .add('thinking.completed', { step_no: 1, content: text('hm'), duration_ms: 5 })
    .add('assistant_message.completed', { step_no: 1, message_id: 'message:2', content: text('I will') })
    .add('plan.proposed', { step_no: 1, items: [{ text: 'write', status: 'pending' }] })
    .add('usage.metered', {
      ...spend,
      calls: 1,
      tokens: { input_tokens: 10, output_tokens: 5 },
      usage_source: 'provider',
    })
    .add('usage.charged', { ...spend, origin: 'notional', cost_nanousd: 12_000 })
    .add('reservation.settled', {
      llm_call_id: 'llm_call:1',
      session_id: 'session:1',
      reserved_nanousd: 20_000,
      actual_nanousd: 12_000,
    })
    .add('step.completed', { step_no: 1, attempt: 1, finish_reason: 'stop', cost_nanousd: 12_000 })
    .add('run.phase_changed', { from: 'planning', to: 'executing', reason: 'a plan' })
    .add('tool_call.requested', {
      ...call('tool_call:1'),
      step_no: 2,
      index: 0,
      tool: 'write_file',
      arguments: text('{"path":"a.py"}'),
    })
    .add('tool_call.approved', { ...call('tool_call:1'), by: 'policy' })
    .add('tool_call.started', { ...call('tool_call:1'), worker_id: 'worker:1', timeout_ms: 1 })
    .add('file.created', {
      path: 'a.py',
      lines_added: 3,
      lines_removed: 0,
      run_id: RUN,
      tool_call_id: 'tool_call:1',
      patch: text('+a'),
    })
    .add('tool_call.succeeded', { ...call('tool_call:1'), duration_ms: 4, output: text('ok') })
    .add('tool_call.requested', {
      ...call('tool_call:2'),
      step_no: 3,
      index: 0,
      tool: 'bash',
      arguments: text('{"command":"rm a"}'),
    })
    .add('approval.requested', {
      ...call('tool_call:2'),
      approval_id: 'approval:2',
      reason: 'it may change something',
      offered_scopes: ['once', 'run'],
      asked_at: '2026-01-01T00:00:21Z',
    })
    .add('approval.granted', {
      ...call('tool_call:2'),
      approval_id: 'approval:2',
      scope: 'once',
      decided_by: 'user:1',
      via: 'web',
      waited_ms: 900,
    })
    .add('tool_call.approved', { ...call('tool_call:2'), by: 'person' })
    .add('tool_call.started', { ...call('tool_call:2'), worker_id: 'worker:1', timeout_ms: 1 })
    .add('tool_call.succeeded', { ...call('tool_call:2'), exit_code: 0, duration_ms: 4, output: text('') })
    .add('run.phase_changed', { from: 'executing', to: 'testing', reason: 'tests' })
    .add('tests.ran', { ...tests, ...call('tool_call:2'), passed: 2, failed: 1 })
    .add('run.phase_changed', { from: 'testing', to: 'fixing', reason: '1 red' })
    .add('fix.attempted', { attempt: 1, failed: 1 })
    .add('file.modified', { path: 'a.py', lines_added: 1, lines_removed: 1, run_id: RUN })
    .add('run.phase_changed', { from: 'fixing', to: 'testing', reason: 'tests' })
    .add('tests.ran', { ...tests, ...call('tool_call:2'), passed: 3, failed: 0 })
    .add('run.phase_changed', { from: 'testing', to: 'done', reason: 'green' })
    .add('run.completed', { summary: 'done', steps: 3, cost_nanousd: 12_000 });
}
