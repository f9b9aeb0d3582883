/** Event types by the noun they begin with, for filters. */
export const KINDS = ['message', 'thinking', 'step', 'tool', 'approval', 'file', 'test', 'money', 'run'] as const;
export type Kind = (typeof KINDS)[number];
const KIND_OF_NOUN: Record<string, Kind> = {
  session: 'run',
  content: 'run',
  message: 'message',
  assistant_message: 'message',
  run: 'run',
  workspace: 'run',
  step: 'step',
  plan: 'step',
  thinking: 'thinking',
  tool_call: 'tool',
  approval: 'approval',
  tests: 'test',
  fix: 'test',
  file: 'file',
  spend: 'money',
  usage: 'money',
  reservation: 'money',
};

export function kindOf(eventType: string): Kind {
  return KIND_OF_NOUN[eventType.slice(0, eventType.indexOf('.'))] ?? 'run';
}
