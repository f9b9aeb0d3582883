import { ChevronRight } from 'lucide-react';
import { memo, useState } from 'react';
import { Badge } from '@/components/ui/Badge';
import { CodeBlock } from '@/components/ui/CodeBlock';
import { DiffView, FileDelta } from '@/features/files';
import type { ToolCallState } from '@/lib/events/state';
import { languageOf, meaningOf, parseArguments, pretty } from '@/lib/events/tools';
import { bytes } from '@/lib/format/text';
import { duration, elapsed } from '@/lib/time/format';
import { useNow } from '@/lib/time/useNow';
import { Code } from './Code';
import { Decision } from './Decision';
import { ToolStatus } from './ToolStatus';

const UNFINISHED = new Set(['requested', 'asked', 'approved', 'started']);

/** One tool call: folded to a line, open while it runs or when it went wrong. */
export const ToolCard = memo(function ToolCard({
  call,
  liveOutput,
}: {
  call: ToolCallState;
  liveOutput: string | null;
}) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const wrong = call.status === 'failed' || call.status === 'timed_out' || call.status === 'orphaned';
  const open = chosen ?? (call.status === 'started' || wrong);
  const { title, command } = meaningOf(call);
  const bodyId = `tool-${call.id}`;
  return (
    <article aria-label={`Tool call: ${title}`} className="overflow-hidden rounded-box border border-line bg-surface">
      <button
        type="button"
        aria-expanded={open}
        aria-controls={bodyId}
        onClick={() => setChosen(!open)}
        className="flex min-h-8 w-full items-center gap-2 px-2 py-1 text-left hover:bg-hover"
      >
        <ChevronRight size={14} aria-hidden className={`shrink-0 text-text-3 ${open ? 'rotate-90' : ''}`} />
        <span className="flex min-w-0 flex-1 items-baseline gap-2">
          <span className="shrink-0 font-medium">{title}</span>
          {command && <code className="truncate font-mono text-code text-text-3">{command.split('\n', 1)[0]}</code>}
        </span>
        <Facts call={call} />
        <ToolStatus status={call.status} />
      </button>
      {open && (
        <div id={bodyId} className="flex flex-col gap-2 border-t border-line p-2">
          <Arguments call={call} />
          {call.problem && <p className="break-words text-danger">{call.problem}</p>}
          {call.approval?.decision && <Decision decision={call.approval.decision} />}
          <Output call={call} live={liveOutput} />
          {call.files.map((change) => (
            <div key={change.position} className="min-w-0">
              {change.patch && <DiffView path={change.path} patch={change.patch} />}
            </div>
          ))}
        </div>
      )}
    </article>
  );
});

function Facts({ call }: { call: ToolCallState }) {
  const { tests, files, exitCode, durationMs, startedAt } = call;
  return (
    <span className="flex shrink-0 items-center gap-2 text-meta text-text-3">
      {files.map((file) => (
        <FileDelta key={file.position} added={file.linesAdded} removed={file.linesRemoved} />
      ))}
      {tests && (
        <Badge tone={tests.failed > 0 ? 'danger' : 'ok'}>
          {tests.passed} passed{tests.failed > 0 && `, ${tests.failed} failed`}
        </Badge>
      )}
      {exitCode !== null && exitCode !== 0 && <span>exit {exitCode}</span>}
      {call.status === 'started' && startedAt && <Running since={startedAt} />}
      {durationMs !== null && <span className="max-sm:hidden">{duration(durationMs)}</span>}
    </span>
  );
}

function Running({ since }: { since: string }) {
  const now = useNow();
  return <span>{elapsed(now - Date.parse(since))}</span>;
}

function Arguments({ call }: { call: ToolCallState }) {
  const { command, path } = meaningOf(call);
  if (command !== null) return <Code text={command} language="bash" label="command" wrap />;
  // What a file change does is shown by its diff.
  if (call.files.some(({ patch }) => patch !== null)) return null;
  const content = parseArguments(call.arguments.text)?.content;
  if (typeof content === 'string') return <Code text={content} language={languageOf(path)} label={path ?? 'content'} />;
  return <Code text={pretty(call.arguments.text)} language="json" label="arguments" />;
}

function Output({ call, live }: { call: ToolCallState; live: string | null }) {
  if (UNFINISHED.has(call.status)) {
    return live === null ? null : <CodeBlock text={live} label="output, still coming" />;
  }
  const { output, exitCode } = call;
  if (output === null || output.text === '') return <p className="text-meta text-text-3">No output.</p>;
  const label = exitCode === null ? 'output' : `output, exit code ${exitCode}`;
  return (
    <>
      <CodeBlock text={output.text} label={label} />
      {output.blob && <p className="text-meta text-text-3">The beginning of {bytes(output.blob.bytes)} of output.</p>}
    </>
  );
}
