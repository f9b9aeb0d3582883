import type { EventLog } from '@/lib/events/EventLog';
import { CALM_MS, useLog } from '@/lib/events/log-hooks';
import type { Tab } from '../model/search';

/** Where three columns do not fit: one (narrow) or two (medium) are shown. Nothing is unmounted. */
export function TabBar({ log, tab, onTab }: { log: EventLog; tab: Tab; onTab: (tab: Tab) => void }) {
  const events = useLog(log, (log) => log.events.length, CALM_MS);
  const files = useLog(log, ({ state }) => Object.keys(state.files).length, CALM_MS);
  const tabs: { tab: Tab; label: string; count: number | null }[] = [
    { tab: 'chat', label: 'Chat', count: null },
    { tab: 'activity', label: 'Timeline', count: events },
    { tab: 'work', label: 'Plan, files, cost', count: files },
  ];
  return (
    <nav
      aria-label="Views"
      className="flex shrink-0 gap-1 border-b border-line bg-surface px-3 trio:hidden lg:justify-end"
    >
      {tabs.map(({ tab: own, label, count }) => {
        // In the medium layout the chat always shows; its tab then means the timeline beside it.
        const current = own === tab;
        const medium = own === 'activity' && tab === 'chat' ? 'lg:border-primary lg:text-text' : '';
        return (
          <button
            key={own}
            type="button"
            aria-current={current ? 'page' : undefined}
            onClick={() => onTab(own)}
            className={`flex h-8 items-center gap-1.5 border-b-2 px-2.5 font-medium ${own === 'chat' ? 'lg:hidden' : ''} ${current ? 'border-primary text-text' : 'border-transparent text-text-3 hover:text-text'} ${medium}`}
          >
            {label}
            {count !== null && count > 0 && <span className="text-meta text-text-3">{count}</span>}
          </button>
        );
      })}
    </nav>
  );
}
