import { defaultRangeExtractor, useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Empty } from '@/components/ui/Notice';
import type { EventLog } from '@/lib/events/EventLog';
import { type Kind, kindOf } from '@/lib/events/kinds';
import { useLog } from '@/lib/events/log-hooks';
import type { LogEvent } from '@/lib/events/types';
import { useShortcuts } from '@/lib/keyboard/shortcuts';
import { Row } from './Row';

const ROW_PX = 28;
const OVERSCAN = 8;

/** Every event, one row each. J and K move in the filtered list, Enter opens the inspector, F follows the newest. */
export function Timeline({
  log,
  kind,
  query,
  selected,
  onOpen,
}: {
  log: EventLog;
  kind: Kind | undefined;
  query: string;
  selected: string | undefined;
  onOpen: (position: string) => void;
}) {
  const count = useLog(log, ({ events }) => events.length);
  const shown = useMemo(() => filter(log.events, count, kind, query), [log, count, kind, query]);
  const [active, setActive] = useState<string | undefined>(selected);
  const [following, setFollowing] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  const activeIndex = shown.findIndex(({ position }) => position === active);
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
    // The active row stays mounted: aria-activedescendant must name something that is there.
    rangeExtractor: (range) => {
      const rows = defaultRangeExtractor(range);
      return activeIndex < 0 || rows.includes(activeIndex) ? rows : [...rows, activeIndex].sort((a, b) => a - b);
    },
  });
  const start = log.events[0]?.occurredAt ?? '';

  useEffect(() => {
    // Rows have one height, so the end is known without measuring.
    if (following && scroller.current) scroller.current.scrollTop = shown.length * ROW_PX;
  }, [following, shown.length]);
  useEffect(() => setActive(selected), [selected]);

  const move = (by: number) => {
    const from = activeIndex < 0 ? (by > 0 ? -1 : shown.length) : activeIndex;
    const to = Math.min(shown.length - 1, Math.max(0, from + by));
    const event = shown[to];
    if (event === undefined) return;
    setFollowing(false);
    setActive(event.position);
    virtual.scrollToIndex(to);
    // With the inspector open, it shows what is walked over.
    if (selected !== undefined) onOpen(event.position);
  };
  const open = () => {
    if (active !== undefined && activeIndex >= 0) onOpen(active);
  };
  useShortcuts([
    { keys: 'J', label: 'Next event', group: 'Mission Control', run: () => move(1) },
    { keys: 'K', label: 'Previous event', group: 'Mission Control', run: () => move(-1) },
    { keys: 'Enter', label: 'Open the event in the inspector', group: 'Mission Control', run: open },
    { keys: 'F', label: 'Follow the newest event', group: 'Mission Control', run: () => setFollowing(true) },
  ]);

  if (count === 0) return <Empty title="No events yet">Each step of the run becomes a row here.</Empty>;
  if (shown.length === 0) return <Empty title="No event matches">Choose another kind, or clear the filter.</Empty>;
  return (
    <div
      ref={scroller}
      role="listbox"
      tabIndex={0}
      aria-label="Events"
      aria-activedescendant={activeIndex >= 0 ? rowId(active) : undefined}
      onWheel={(event) => setFollowing(event.deltaY > 0 && atEnd(event.currentTarget))}
      onKeyDown={(event) => {
        if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
        event.preventDefault();
        move(event.key === 'ArrowDown' ? 1 : -1);
      }}
      className="min-h-0 flex-1 overflow-y-auto"
    >
      <div role="presentation" className="relative" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start: top }) => {
          const event = shown[index];
          if (event === undefined) return null;
          return (
            <Row
              key={event.position}
              id={rowId(event.position)}
              event={event}
              log={log}
              start={start}
              top={top}
              place={index + 1}
              total={shown.length}
              active={event.position === active}
              onOpen={onOpen}
            />
          );
        })}
      </div>
    </div>
  );
}

function rowId(position: string | undefined): string {
  return `event-${position}`;
}

function atEnd({ scrollHeight, clientHeight, scrollTop }: HTMLElement): boolean {
  return scrollHeight - clientHeight - scrollTop < ROW_PX * 2;
}

/** `count` is part of the signature because the array itself grows in place. */
function filter(
  events: readonly LogEvent[],
  count: number,
  kind: Kind | undefined,
  query: string,
): readonly LogEvent[] {
  const words = query.trim().toLowerCase();
  if (kind === undefined && words === '') return events.slice(0, count);
  return events.filter(
    ({ eventType, payload }) =>
      (kind === undefined || kindOf(eventType) === kind) &&
      (words === '' || eventType.includes(words) || JSON.stringify(payload).toLowerCase().includes(words)),
  );
}
