import { ArrowDown } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Button } from '@/components/ui/Button';
import { Empty } from '@/components/ui/Notice';
import type { EventLog } from '@/lib/events/EventLog';
import { useLog } from '@/lib/events/log-hooks';
import type { ChatItem } from '@/lib/events/state';
import { useFollow } from '../model/useFollow';
import { ChatEntry } from './ChatEntry';
import { Markdown } from './Markdown';

const FIRST_SHOWN = 120;
const MORE = 120;

/** The conversation: what people wrote, what the agent said, and its tool calls in place. */
export function Chat({
  log,
  onRetry,
  retrying,
}: {
  log: EventLog;
  onRetry: (runId: string) => void;
  retrying: boolean;
}) {
  const chat = useLog(log, ({ state }) => state.chat);
  const live = useLog(log, ({ live: { all } }) => all);
  const [shown, setShown] = useState(FIRST_SHOWN);
  const { ref, following, toEnd, onScroll } = useFollow([chat, live]);
  const visible = chat.slice(-shown);
  const speaking = [...live.values()].filter(({ kind }) => kind === 'TEXT');
  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <div
        ref={ref}
        onScroll={onScroll}
        tabIndex={0}
        role="region"
        aria-label="Conversation"
        className="min-h-0 flex-1 overflow-y-auto"
      >
        <div className="mx-auto flex max-w-[760px] flex-col gap-3 px-4 py-4 [&>article+article]:-mt-1.5">
          {visible.length < chat.length && (
            <Button tone="quiet" onClick={() => setShown(shown + MORE)}>
              Show {Math.min(MORE, chat.length - visible.length)} earlier
            </Button>
          )}
          {chat.length === 0 && log.caughtUp && (
            <Empty title="Nothing said yet">Messages and tool calls appear here, in their order.</Empty>
          )}
          {visible.map((item) => (
            <ChatEntry key={item.key} item={item} log={log} onRetry={onRetry} retrying={retrying} />
          ))}
          {speaking.map((item) => (
            <div key={item.itemId} data-testid="live-text" className="streaming min-w-0">
              <Markdown text={item.text} streaming />
            </div>
          ))}
        </div>
      </div>
      <FinishedMessages chat={chat} />
      {!following && (
        <div className="absolute inset-x-0 bottom-2 flex justify-center">
          <Button onClick={toEnd} size="small">
            <ArrowDown size={13} aria-hidden /> Latest
          </Button>
        </div>
      )}
    </div>
  );
}

const ANNOUNCE_MS = 5_000;

/** Reads finished messages out, at most one in five seconds. Streaming text is never in a live region. */
function FinishedMessages({ chat }: { chat: readonly ChatItem[] }) {
  const [said, setSaid] = useState('');
  const last = chat.findLast(({ kind }) => kind === 'assistant' || kind === 'ended');
  const words = last === undefined ? '' : wordsOf(last);
  useEffect(() => {
    const timer = setTimeout(() => setSaid(words), ANNOUNCE_MS / 5);
    return () => clearTimeout(timer);
  }, [words]);
  return (
    <p role="status" className="sr-only">
      {said}
    </p>
  );
}

function wordsOf(item: ChatItem): string {
  if (item.kind === 'assistant') return `Agent: ${item.text.text.slice(0, 300)}`;
  return item.kind === 'ended' ? `The run ${item.outcome}.` : '';
}
