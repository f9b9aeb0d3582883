import { CircleCheck, CircleX } from 'lucide-react';
import { Empty } from '@/components/ui/Notice';
import type { RunState } from '@/lib/events/state';
import { duration } from '@/lib/time/format';

/** Each test run of the run, newest first. */
export function Tests({ run }: { run: RunState | null }) {
  if (run?.testsSkipped) return <Empty title="No tests were run">{run.testsSkipped}</Empty>;
  if (!run || run.tests.length === 0) return <Empty title="No tests yet">Each test run appears here.</Empty>;
  return (
    <ol className="flex flex-col gap-1 px-3 pb-3">
      {run.tests
        .map((result, index) => ({ result, no: index + 1 }))
        .reverse()
        .map(({ result, no }) => {
          const red = result.failed > 0;
          const Icon = red ? CircleX : CircleCheck;
          return (
            <li key={no} className="flex items-center gap-2" title={result.command}>
              <Icon size={14} aria-hidden className={`shrink-0 ${red ? 'text-danger' : 'text-ok'}`} />
              <span className={`font-medium ${red ? 'text-danger' : 'text-ok'}`}>{red ? 'Red' : 'Green'}</span>
              <span className="min-w-0 flex-1 truncate text-text-2">
                {result.passed} passed, {result.failed} failed{result.skipped > 0 && `, ${result.skipped} skipped`}
              </span>
              <span className="text-meta text-text-3">
                run {no} · {duration(result.durationMs)}
              </span>
            </li>
          );
        })}
    </ol>
  );
}
