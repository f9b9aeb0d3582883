import { memo } from 'react';
import { Empty } from '@/components/ui/Notice';
import type { EventLog } from '@/lib/events/EventLog';
import { useLog } from '@/lib/events/log-hooks';
import type { ThinkingItem } from '@/lib/events/state';
import { ago, duration } from '@/lib/time/format';
import { useNow } from '@/lib/time/useNow';

const SHOWN = 30;

/** What the model thought, newest first; the one being thought now stands on top. */
export function Thinking({ log }: { log: EventLog }) {
  const items = useLog(log, ({ state }) => state.thinking);
  const live = useLog(log, ({ live: { all } }) => all);
  const now = useNow();
  const thinking = [...live.values()].filter(({ kind }) => kind === 'THINKING');
  if (items.length === 0 && thinking.length === 0) {
    return <Empty title="No thoughts yet">Where the model shares its reasoning, it streams here.</Empty>;
  }
  return (
    <ol tabIndex={0} aria-label="Thoughts, newest first" className="min-h-0 flex-1 overflow-y-auto px-3 pb-2">
      {thinking.map(({ itemId, text, since }) => (
        <li key={itemId} className="relative border-l border-accent pb-2 pl-3">
          <Dot tone="live" />
          <p className="flex justify-between text-meta text-text-3">
            <span className="font-medium text-accent">thinking now</span>
            <span>{Math.max(0, Math.floor((now - since) / 1000))} s</span>
          </p>
          <p className="caret whitespace-pre-wrap break-words text-text">{tail(text)}</p>
        </li>
      ))}
      {items
        .slice(-SHOWN)
        .reverse()
        .map((item) => (
          <Thought key={item.key} item={item} when={ago(item.at, now)} />
        ))}
    </ol>
  );
}

const Thought = memo(function Thought({ item, when }: { item: ThinkingItem; when: string }) {
  return (
    <li className="relative border-l border-line pb-2 pl-3">
      <Dot tone="past" />
      <p className="flex justify-between text-meta text-text-3">
        <span>
          step {item.stepNo} · {duration(item.durationMs)}
        </span>
        <time dateTime={item.at}>{when === 'now' ? 'just now' : `${when} ago`}</time>
      </p>
      <p className="whitespace-pre-wrap break-words text-text-2">{item.text.text}</p>
    </li>
  );
});

function Dot({ tone }: { tone: 'live' | 'past' }) {
  return (
    <span
      aria-hidden
      className={`absolute -left-[3.5px] top-[5px] size-1.5 rounded-full ${tone === 'live' ? 'bg-accent' : 'bg-line-strong'}`}
    />
  );
}

const TAIL = 280;

/** The end of a long thought: that is where it is being written. */
function tail(text: string): string {
  return text.length > TAIL ? `…${text.slice(text.indexOf(' ', text.length - TAIL))}` : text;
}
