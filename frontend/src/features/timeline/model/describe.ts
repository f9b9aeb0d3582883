/** One line for each event: what it is about, in words. */
import { type Kind, kindOf } from '@/lib/events/kinds';
import { meaningOf } from '@/lib/events/tools';
import { type KnownEvent, known, type LogEvent } from '@/lib/events/types';
import { formatNanoShort } from '@/lib/format/money';
import { firstLine, plural } from '@/lib/format/text';
import { duration } from '@/lib/time/format';

export type Mood = 'plain' | 'ok' | 'warn' | 'bad';

interface Line {
  kind: Kind;
  title: string;
  detail: string;
  mood: Mood;
}

/** `toolName` finds the tool of a call; settled calls do not repeat it. */
export function describe(event: LogEvent, toolName: (toolCallId: string) => string): Line {
  const kind = kindOf(event.eventType);
  if (event.payload === null) return { kind, title: 'Content erased', detail: event.eventType, mood: 'plain' };
  const read = known(event);
  const said = read === null ? null : words(read, toolName);
  return { kind, title: said?.[0] ?? event.eventType, detail: said?.[1] ?? '', mood: said?.[2] ?? 'plain' };
}

type Words = [title: string, detail?: string, mood?: Mood];

function words(event: KnownEvent, tool: (id: string) => string): Words | null {
  switch (event.eventType) {
    case 'session.started':
      return ['Session started', event.payload.title];
    case 'content.erased':
      return ['Content erased', event.payload.reason, 'warn'];
    case 'run.erased':
      return ['Run erased'];
    case 'workspace.erased':
      return ['Workspace erased'];
    case 'workspace.created':
      return ['Workspace made'];
    case 'message.received':
      return ['Message', firstLine(event.payload.content.text)];
    case 'assistant_message.completed':
      return ['Agent said', firstLine(event.payload.content.text)];
    case 'thinking.completed':
      return ['Thought', firstLine(event.payload.content.text)];
    case 'run.requested':
      return [event.payload.trigger === 'retry' ? 'Run requested again' : 'Run requested', event.payload.model];
    case 'run.steered':
      return ['Message reached the run', firstLine(event.payload.content.text)];
    case 'run.phase_changed':
      return [`Phase: ${event.payload.to}`, event.payload.reason, event.payload.to === 'error' ? 'bad' : 'plain'];
    case 'step.requested':
      return [`Step ${event.payload.step_no} wanted`, event.payload.purpose];
    case 'step.started':
      return [`Step ${event.payload.step_no} started`, event.payload.model];
    case 'step.completed':
      return [`Step ${event.payload.step_no} completed`, formatNanoShort(event.payload.cost_nanousd)];
    case 'step.failed':
      return [`Step ${event.payload.step_no} failed`, event.payload.error.message, 'bad'];
    case 'step.interrupted':
      return [`Step ${event.payload.step_no} interrupted`, event.payload.reason, 'warn'];
    case 'plan.proposed':
      return ['Plan made', plural(event.payload.items.length, 'item')];
    case 'plan.revised': {
      const { items } = event.payload;
      return ['Plan changed', `${items.filter(({ status }) => status === 'done').length} of ${items.length} done`];
    }
    case 'tests.ran': {
      const { passed, failed } = event.payload;
      return [
        failed > 0 ? 'Tests red' : 'Tests green',
        `${passed} passed, ${failed} failed`,
        failed > 0 ? 'bad' : 'ok',
      ];
    }
    case 'tests.skipped':
      return ['No tests', event.payload.reason];
    case 'fix.attempted':
      return [`Fix attempt ${event.payload.attempt}`, plural(event.payload.failed, 'red test'), 'warn'];
    case 'run.completed':
      return ['Run done', event.payload.summary, 'ok'];
    case 'run.failed':
      return ['Run failed', event.payload.error.message, 'bad'];
    case 'run.cancelled':
      return ['Run stopped', event.payload.reason, 'warn'];
    case 'run.retried':
      return ['Run tried again'];
    case 'file.created':
    case 'file.modified':
    case 'file.deleted': {
      const { path, lines_added, lines_removed } = event.payload;
      return [`File ${event.eventType.slice('file.'.length)}`, `${path}  +${lines_added} −${lines_removed}`];
    }
    default:
      return callWords(event, tool) ?? moneyWords(event);
  }
}

function callWords(event: KnownEvent, tool: (id: string) => string): Words | null {
  switch (event.eventType) {
    case 'tool_call.requested': {
      const { title, command } = meaningOf({ tool: event.payload.tool, arguments: event.payload.arguments });
      return [`Wants: ${title.charAt(0).toLowerCase()}${title.slice(1)}`, command ? firstLine(command) : ''];
    }
    case 'tool_call.approved':
      return ['Call approved', `by ${event.payload.by}`];
    case 'tool_call.declined':
      return ['Call declined', event.payload.reason, 'warn'];
    case 'tool_call.started':
      return ['Call started', tool(event.payload.tool_call_id)];
    case 'tool_call.succeeded': {
      const { exit_code, duration_ms, tool_call_id } = event.payload;
      const exit = exit_code === undefined ? '' : `, exit ${exit_code}`;
      const took = duration_ms === undefined ? '' : `, ${duration(duration_ms)}`;
      return ['Call succeeded', `${tool(tool_call_id)}${took}${exit}`, 'ok'];
    }
    case 'tool_call.failed':
      return ['Call failed', event.payload.message, 'bad'];
    case 'tool_call.orphaned':
      return ['Call lost', event.payload.reason, 'warn'];
    case 'approval.requested':
      return ['Approval asked', event.payload.reason, 'warn'];
    case 'approval.granted':
      return [
        'Approved',
        `${event.payload.scope === 'run' ? 'for this run' : 'once'}, after ${duration(event.payload.waited_ms)}`,
        'ok',
      ];
    case 'approval.denied':
      return ['Denied', event.payload.reason, 'bad'];
    default:
      return null;
  }
}

function moneyWords(event: KnownEvent): Words | null {
  switch (event.eventType) {
    case 'spend.reserved':
      return ['Reserved', `at most ${formatNanoShort(event.payload.est_nanousd)}`];
    case 'usage.metered': {
      const { input_tokens, output_tokens } = event.payload.tokens;
      const shown = (value?: number) => value?.toLocaleString('en') ?? 'not reported';
      return ['Usage', `in ${shown(input_tokens)}, out ${shown(output_tokens)}`];
    }
    case 'usage.charged':
      return ['Charged', `${formatNanoShort(event.payload.cost_nanousd)} ${event.payload.origin}`];
    case 'reservation.settled':
      return ['Reservation settled', `${formatNanoShort(event.payload.actual_nanousd)} used`];
    case 'reservation.released':
      return ['Reservation released', event.payload.reason];
    default:
      return null;
  }
}
