import { Link, useParams } from '@tanstack/react-router';
import { CloudOff, Plug, RefreshCw } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useStore } from 'zustand';
import { useViewer } from '@/features/viewer';
import { CALM_MS, useLog } from '@/lib/events/log-hooks';
import { logOf } from '@/lib/events/open';
import { positionNumber } from '@/lib/events/position';
import { connection, retryNow } from '@/lib/realtime/connection';
import { useNow } from '@/lib/time/useNow';

/** Whether we are connected, and how far the log of this session has been read. */
export function StatusBar() {
  const viewer = useViewer();
  const { sessionId } = useParams({ strict: false });
  return (
    <footer className="flex h-6 shrink-0 items-center gap-3 border-t border-line bg-surface px-3 text-meta text-text-3">
      <ConnectionState />
      {sessionId && <CaughtUp sessionId={sessionId} />}
      <span className="ml-auto truncate max-sm:hidden">{viewer && `${viewer.name}, ${viewer.role.toLowerCase()}`}</span>
      <Link to="/" className="shrink-0 hover:text-text max-sm:hidden">
        Daybook
      </Link>
    </footer>
  );
}

function CaughtUp({ sessionId }: { sessionId: string }) {
  const log = logOf(sessionId);
  const position = useLog(log, ({ lastPosition }) => lastPosition, CALM_MS);
  const complete = useLog(log, ({ caughtUp }) => caughtUp, CALM_MS);
  if (position === null) return null;
  return (
    <span data-testid="caught-up">
      {complete ? 'caught up to' : 'read to'} #{positionNumber(position)}
    </span>
  );
}

const SHOWN_AFTER_MS = 1_000;

function ConnectionState() {
  const now = useStore(connection, (state) => state.now);
  const tick = useNow();
  const lost = useLater('since' in now);
  if (now.status === 'connecting') return <State icon={RefreshCw} word="Connecting" colour="text-text-2" />;
  if (now.status === 'live' || !lost) {
    return (
      <span className="flex items-center gap-1.5 font-medium text-ok">
        <span aria-hidden className="size-1.5 rounded-full bg-ok" /> Live
      </span>
    );
  }
  if (now.status === 'offline') return <State icon={CloudOff} word="Offline" colour="text-danger" />;
  const seconds = Math.max(0, Math.ceil((now.retryAt - tick) / 1000));
  return (
    <>
      <State icon={Plug} word={seconds > 0 ? `Reconnecting in ${seconds} s` : 'Reconnecting'} colour="text-warn" />
      <button type="button" onClick={retryNow} className="text-text underline underline-offset-2">
        Try now
      </button>
    </>
  );
}

function State({ icon: Icon, word, colour }: { icon: typeof Plug; word: string; colour: string }) {
  return (
    <span role="status" className={`flex items-center gap-1.5 font-medium ${colour}`}>
      <Icon size={12} aria-hidden /> {word}
    </span>
  );
}

/** True once `on` has lasted a moment: short interruptions are not worth a word. */
function useLater(on: boolean): boolean {
  const [later, setLater] = useState(false);
  useEffect(() => {
    if (!on) {
      setLater(false);
      return;
    }
    const timer = setTimeout(() => setLater(true), SHOWN_AFTER_MS);
    return () => clearTimeout(timer);
  }, [on]);
  return later;
}
