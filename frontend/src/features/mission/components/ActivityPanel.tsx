import { Panel } from '@/components/ui/Panel';
import { Thinking } from '@/features/thinking';
import { Timeline } from '@/features/timeline';
import type { EventLog } from '@/lib/events/EventLog';
import { KINDS } from '@/lib/events/kinds';
import { CALM_MS, useLog } from '@/lib/events/log-hooks';
import { plural } from '@/lib/format/text';
import type { MissionSearch } from '../model/search';

/** What the agent thinks, and everything that happened. */
export function ActivityPanel({
  log,
  search,
  onChange,
}: {
  log: EventLog;
  search: MissionSearch;
  onChange: (next: Partial<MissionSearch>) => void;
}) {
  const count = useLog(log, ({ events }) => events.length, CALM_MS);
  return (
    <>
      <div className="flex h-[34%] min-h-32 shrink-0 flex-col border-b border-line">
        <Panel title="Thinking" grow>
          <Thinking log={log} />
        </Panel>
      </div>
      <Panel
        title="Timeline"
        grow
        aside={
          <>
            <span className="whitespace-nowrap">{plural(count, 'event')}</span>
            <select
              aria-label="Kind of event"
              value={search.kind ?? ''}
              onChange={({ target: { value } }) => onChange({ kind: KINDS.find((kind) => kind === value) })}
              className="h-6 rounded-ctl border border-line-strong bg-field px-1 text-meta text-text"
            >
              <option value="">all kinds</option>
              {KINDS.map((kind) => (
                <option key={kind} value={kind}>
                  {kind}
                </option>
              ))}
            </select>
            <input
              type="search"
              aria-label="Filter events"
              placeholder="Filter"
              defaultValue={search.q ?? ''}
              onChange={({ target: { value } }) => onChange({ q: value || undefined })}
              className="h-6 w-20 rounded-ctl border border-line-strong bg-field px-1.5 text-meta text-text"
            />
          </>
        }
      >
        <Timeline
          log={log}
          kind={search.kind}
          query={search.q ?? ''}
          selected={search.ev}
          onOpen={(ev) => onChange({ ev, file: undefined })}
        />
      </Panel>
    </>
  );
}
