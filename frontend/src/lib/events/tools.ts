/** What a tool call means, in words. Arguments are JSON as the model wrote it, and may be anything. */
import type { ToolCallState, ToolCallStatus } from './state';

interface Meaning {
  /** `Run a command`, `Write roman.py`. */
  title: string;
  /** What is run or changed: a command line, or null. */
  command: string | null;
  path: string | null;
}

export function parseArguments(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

export function meaningOf({ tool, arguments: args }: Pick<ToolCallState, 'tool' | 'arguments'>): Meaning {
  const parsed = parseArguments(args.text) ?? {};
  const word = (key: string) => (typeof parsed[key] === 'string' ? (parsed[key] as string) : null);
  const path = word('path') ?? word('file') ?? word('file_path');
  const command = word('command');
  const of = (verb: string) => (path ? `${verb} ${path}` : `${verb} a file`);
  switch (tool) {
    case 'bash':
      return { title: 'Run a command', command, path };
    case 'run_tests':
      return { title: 'Run the tests', command, path };
    case 'write_file':
      return { title: of('Write'), command, path };
    case 'edit_file':
      return { title: of('Edit'), command, path };
    case 'read_file':
      return { title: of('Read'), command, path };
    case 'list_files':
      return { title: path ? `List ${path}` : 'List files', command, path };
    case 'update_plan':
      return { title: 'Update the plan', command, path };
    default:
      return { title: `Use ${tool.replace(/_/g, ' ')}`, command, path };
  }
}

/** What an approval would let happen, as exactly as it can be shown. */
export function proposal(call: ToolCallState): { label: string; language: string; text: string } {
  const { command, path } = meaningOf(call);
  if (command !== null) return { label: 'shell command', language: 'bash', text: command };
  const parsed = parseArguments(call.arguments.text);
  const content = parsed?.content;
  if (typeof content === 'string') return { label: path ?? 'file', language: languageOf(path), text: content };
  const [before, after] = [parsed?.old_text ?? parsed?.old_string, parsed?.new_text ?? parsed?.new_string];
  if (typeof before === 'string' && typeof after === 'string') {
    const mark = (sign: string, text: string) => text.replace(/^/gm, sign);
    return { label: path ?? 'file', language: 'diff', text: `${mark('-', before)}\n${mark('+', after)}` };
  }
  return { label: 'arguments', language: 'json', text: pretty(call.arguments.text) };
}

export function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

export function languageOf(path: string | null): string {
  const ending = path?.slice(path.lastIndexOf('.') + 1) ?? '';
  const languages: Record<string, string> = {
    py: 'python',
    rs: 'rust',
    js: 'javascript',
    ts: 'typescript',
    sh: 'bash',
  };
  return languages[ending] ?? ending;
}

export const TOOL_STATUS: Record<ToolCallStatus, string> = {
  requested: 'Requested',
  asked: 'Waiting for you',
  approved: 'Approved',
  started: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
  timed_out: 'Timed out',
  cancelled: 'Cancelled',
  declined: 'Declined',
  orphaned: 'Lost with its worker',
};
