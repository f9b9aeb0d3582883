import { useNavigate } from '@tanstack/react-router';
import { useEffect } from 'react';
import { Skeleton } from '@/components/ui/Notice';
import { Chat, Composer } from '@/features/chat';
import type { EventLog } from '@/lib/events/EventLog';
import { useLog } from '@/lib/events/log-hooks';
import { ActivityPanel } from './components/ActivityPanel';
import { InspectorPanel } from './components/InspectorPanel';
import { MissionHeader } from './components/MissionHeader';
import { PendingBar } from './components/PendingBar';
import { Pipeline } from './components/Pipeline';
import { TabBar } from './components/TabBar';
import { WorkPanel } from './components/WorkPanel';
import type { MissionSearch } from './model/search';
import { latestRun } from './model/status';
import { useRunActions } from './model/useRunActions';
import { useSession } from './model/useSession';

/** One session, live: the conversation, the agent's thoughts, every event, the plan, the files and the cost. */
export function MissionControl({ sessionId, search }: { sessionId: string; search: MissionSearch }) {
  const { log, refused } = useSession(sessionId);
  const navigate = useNavigate();
  const change = (next: Partial<MissionSearch>) =>
    void navigate({ to: '/s/$sessionId', params: { sessionId }, search: { ...search, ...next }, replace: true });
  const actions = useRunActions();
  const empty = useLog(log, ({ events }) => events.length === 0);
  useTitle(log);

  if (refused !== null) {
    return (
      <main id="main" className="p-6">
        <h1 className="text-title font-semibold">This session cannot be shown</h1>
        <p className="text-text-2">
          {refused.message} <code className="font-mono text-meta">{String(refused.extensions?.code ?? '')}</code>
        </p>
      </main>
    );
  }
  const tab = search.tab ?? 'chat';
  const hidden = (own: typeof tab) => (tab === own ? '' : 'max-lg:hidden');
  return (
    <main id="main" className="flex min-h-0 min-w-0 flex-1 flex-col">
      <MissionHeader log={log} actions={actions} />
      <PipelineBar log={log} />
      <TabBar log={log} tab={tab} onTab={(next) => change({ tab: next })} />
      <div className="relative grid min-h-0 flex-1 grid-cols-[minmax(0,1fr)] lg:grid-cols-[minmax(0,1fr)_minmax(0,380px)] trio:grid-cols-[minmax(0,1fr)_minmax(0,348px)_minmax(0,292px)]">
        <section aria-label="Chat" className={`flex min-h-0 min-w-0 flex-col bg-bg ${hidden('chat')}`}>
          <h2 className="sr-only">Chat</h2>
          <PendingBar log={log} onShow={() => change({ tab: undefined })} />
          {empty && !log.caughtUp ? (
            <div className="flex-1">
              <Skeleton rows={5} label="Loading the session" />
            </div>
          ) : (
            <Chat key={sessionId} log={log} onRetry={(id) => void actions.retry(id)} retrying={actions.retrying} />
          )}
          <ComposerOf log={log} sessionId={sessionId} />
        </section>
        <div
          className={`min-h-0 min-w-0 border-line lg:border-l bg-surface ${hidden('activity')} ${tab === 'work' ? 'lg:max-trio:hidden' : ''} flex flex-col`}
        >
          <ActivityPanel key={sessionId} log={log} search={search} onChange={change} />
        </div>
        <div
          className={`min-h-0 min-w-0 border-line lg:border-l bg-surface ${hidden('work')} ${tab === 'work' ? '' : 'lg:max-trio:hidden'} flex flex-col`}
        >
          <WorkPanel log={log} file={search.file} onFile={(file) => change({ file, ev: undefined })} />
        </div>
        <InspectorPanel log={log} search={search} onClose={() => change({ ev: undefined, file: undefined })} />
      </div>
    </main>
  );
}

function PipelineBar({ log }: { log: EventLog }) {
  const run = useLog(log, ({ state }) => latestRun(state));
  return (
    <div className="flex shrink-0 border-b border-line bg-surface px-4 py-2">
      <Pipeline run={run} />
    </div>
  );
}

function ComposerOf({ log, sessionId }: { log: EventLog; sessionId: string }) {
  const working = useLog(log, ({ state }) => (latestRun(state)?.status ?? 'ended') !== 'ended');
  const imported = useLog(log, ({ state }) => state.session?.origin === 'import');
  return <Composer key={sessionId} sessionId={sessionId} working={working} imported={imported} />;
}

const TITLE_MS = 1_000;

function useTitle(log: EventLog): void {
  const title = useLog(log, ({ state }) => state.session?.title ?? 'Session', TITLE_MS);
  const pending = useLog(log, ({ state }) => state.pending.length, TITLE_MS);
  useEffect(() => {
    document.title = `${pending > 0 ? `(${pending}) ` : ''}${title} · Daybook`;
  }, [title, pending]);
}
