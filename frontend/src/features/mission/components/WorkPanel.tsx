import { Panel } from '@/components/ui/Panel';
import { FileList } from '@/features/files';
import type { EventLog } from '@/lib/events/EventLog';
import { CALM_MS, useLog } from '@/lib/events/log-hooks';
import { plural } from '@/lib/format/text';
import { latestRun } from '../model/status';
import { CostMeter, sessionUsage, Tokens } from './Meters';
import { Plan } from './Plan';
import { Tests } from './Tests';

/** What comes out of the run: plan, tests, files, cost. */
export function WorkPanel({
  log,
  file,
  onFile,
}: {
  log: EventLog;
  file: string | undefined;
  onFile: (path: string) => void;
}) {
  const state = useLog(log, ({ state }) => state, CALM_MS);
  const run = latestRun(state);
  const usage = sessionUsage(state);
  const files = Object.keys(state.files).length;
  const done = run?.plan.filter(({ status }) => status === 'done').length ?? 0;
  return (
    <div
      role="region"
      aria-label="Plan, tests, files and cost"
      tabIndex={0}
      className="min-h-0 flex-1 divide-y divide-line overflow-y-auto"
    >
      <Panel title="Plan" aside={run && run.plan.length > 0 && `${done} of ${run.plan.length} done`}>
        <Plan run={run} />
      </Panel>
      <Panel title="Tests">
        <Tests run={run} />
      </Panel>
      <Panel title="Files" aside={files > 0 && plural(files, 'file')}>
        <FileList files={state.files} selected={file} onSelect={onFile} />
      </Panel>
      <Panel title="Cost" aside={run && `step ${run.step?.stepNo ?? 0} of at most ${run.limits.maxSteps}`}>
        <CostMeter run={run} usage={usage} runs={state.runIds.length} />
      </Panel>
      <Panel title="Tokens">
        <Tokens usage={usage} />
      </Panel>
    </div>
  );
}
