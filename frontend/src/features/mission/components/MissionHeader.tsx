import { useNavigate } from '@tanstack/react-router';
import {
  Ban,
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleX,
  LoaderCircle,
  Play,
  RotateCcw,
  Square,
} from 'lucide-react';
import type { ReactNode } from 'react';
import { useClient } from 'urql';
import { Badge } from '@/components/ui/Badge';
import { Button } from '@/components/ui/Button';
import { Notice } from '@/components/ui/Notice';
import { ModelLabel } from '@/features/provider';
import { useStartSession } from '@/features/sessions';
import type { EventLog } from '@/lib/events/EventLog';
import { useLog } from '@/lib/events/log-hooks';
import type { MissionState, RunState } from '@/lib/events/state';
import type { Problem } from '@/lib/graphql/errors';
import { graphql } from '@/lib/graphql/gen';
import { duration, elapsed } from '@/lib/time/format';
import { useNow } from '@/lib/time/useNow';
import { type AgentStatus, agentStatus, latestRun, runMs, type Tone } from '../model/status';

const RunTask = graphql(`
  query RunTask($id: ID!) {
    run(id: $id) {
      id
      task
    }
  }
`);

interface Actions {
  stop: (runId: string) => Promise<void>;
  retry: (runId: string) => Promise<void>;
  stopping: boolean;
  retrying: boolean;
  problem: Problem | null;
}

/** Who works on what, in which state and since when, and what can be done about it. */
export function MissionHeader({ log, actions }: { log: EventLog; actions: Actions }) {
  const state = useLog(log, ({ state }) => state);
  const run = latestRun(state);
  const status = agentStatus(state);
  const navigate = useNavigate();
  const client = useClient();
  const again = useStartSession((sessionId) => void navigate({ to: '/s/$sessionId', params: { sessionId } }));
  const runAgain = async ({ id, task }: RunState) => {
    // A long task stands in the event as a preview only.
    const whole = task.blob ? (await client.query(RunTask, { id }).toPromise()).data?.run?.task : task.text;
    if (whole) again.start(whole);
  };
  const problem = actions.problem ?? again.problem;
  const imported = state.session?.origin === 'import';

  return (
    <header className="shrink-0 border-b border-line bg-surface px-4 py-2">
      <div className="grid min-w-0 grid-cols-[minmax(0,1fr)_auto] items-center gap-x-3">
        <div className="flex min-w-0 items-center gap-2">
          <h1 tabIndex={-1} className="truncate text-head font-semibold outline-none" title={state.session?.title}>
            {state.session?.title ?? 'Session'}
          </h1>
          <Origin state={state} />
        </div>
        <div className="flex shrink-0 items-center gap-2 sm:row-span-2">
          {run && status.working && (
            <Button tone="danger" disabled={actions.stopping} onClick={() => void actions.stop(run.id)}>
              <Square size={12} aria-hidden /> {actions.stopping ? 'Stopping' : 'Stop'}
            </Button>
          )}
          {run?.outcome === 'failed' && run.error?.retryable && !imported && (
            <Button tone="primary" disabled={actions.retrying} onClick={() => void actions.retry(run.id)}>
              <RotateCcw size={13} aria-hidden /> Try again
            </Button>
          )}
          {run && !status.working && (
            <Button disabled={again.starting} onClick={() => void runAgain(run)}>
              <Play size={13} aria-hidden /> Run it again
            </Button>
          )}
        </div>
        <div className="flex min-w-0 flex-wrap items-center gap-x-3 max-sm:col-span-2">
          <StatusLine status={status} run={run} />
          <ModelLabel model={run?.model ?? state.session?.model ?? (imported ? 'unknown' : null)} />
        </div>
      </div>
      {problem && <Notice code={problem.code}>{problem.message}</Notice>}
    </header>
  );
}

function Origin({ state: { session } }: { state: MissionState }): ReactNode {
  if (session === null || session.origin === 'web') return null;
  if (session.origin !== 'import') return <Badge>{session.origin}</Badge>;
  const source = session.importSource;
  return (
    <Badge tone="info" title={source ? `from ${source.fileName}` : undefined}>
      imported{source && ` · ${source.format}`}
    </Badge>
  );
}

const COLOURS: Record<Tone, string> = {
  neutral: 'text-text-2',
  live: 'text-accent',
  waiting: 'text-warn',
  ok: 'text-ok',
  danger: 'text-danger',
};

function iconOf({ tone, word }: AgentStatus): typeof Ban {
  if (tone === 'live') return LoaderCircle;
  if (tone === 'waiting') return CirclePause;
  if (tone === 'ok') return CircleCheck;
  if (tone === 'danger') return CircleX;
  return word === 'Stopped' ? Ban : CircleDashed;
}

function StatusLine({ status, run }: { status: AgentStatus; run: RunState | null }) {
  const now = useNow();
  const Icon = iconOf(status);
  const since = status.since ? elapsed(now - Date.parse(status.since)) : null;
  return (
    <p className="flex min-w-0 items-center gap-1.5" data-testid="agent-status">
      <Icon size={13} aria-hidden className={`shrink-0 ${COLOURS[status.tone]}`} />
      <span className={`shrink-0 font-semibold ${COLOURS[status.tone]}`}>{status.word}</span>
      <span className="min-w-0 truncate text-text-2">{status.cause}</span>
      {since && <span className="shrink-0 text-text-3">{since}</span>}
      {run && (
        <span className="shrink-0 text-text-3" title="From the request to the end">
          · {status.working ? elapsed(runMs(run, now)) : duration(runMs(run, now))} in all
        </span>
      )}
    </p>
  );
}
