/** Whether the server can be reached, for people; and when to try again, for every stream at once. */
import { createStore } from 'zustand/vanilla';

type Connection =
  | { status: 'connecting' }
  | { status: 'live' }
  | { status: 'reconnecting'; since: number; retryAt: number }
  | { status: 'offline'; since: number };

export const connection = createStore<{ now: Connection; reconnects: number }>(() => ({
  now: { status: 'connecting' },
  reconnects: 0,
}));

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 15_000;
let failures = 0;
let waiting: Promise<void> | null = null;
let wake: (() => void) | null = null;

/** How long to wait before attempt `n` (0 is the first one after a loss), with jitter of up to half. */
export function backoff(n: number, random: () => number): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** n) * (0.5 + random());
}

/** Data came: we are live, and the next loss is again a first one. */
export function reportLive(): void {
  failures = 0;
  reportConnected();
}

/** The server has answered the handshake. A stream may still be refused, so failures keep counting. */
export function reportConnected(): void {
  const { now, reconnects } = connection.getState();
  if (now.status === 'live') return;
  connection.setState({ now: { status: 'live' }, reconnects: reconnects + (now.status === 'connecting' ? 0 : 1) });
}

/** A stream broke. Resolves when it may be tried again; streams that wait at the same time share one wait. */
export function untilRetry(): Promise<void> {
  if (waiting !== null) return waiting;
  const wait = backoff(failures, Math.random);
  failures += 1;
  const { now } = connection.getState();
  const since = 'since' in now ? now.since : Date.now();
  const retryAt = Date.now() + wait;
  connection.setState({
    now: navigator.onLine ? { status: 'reconnecting', since, retryAt } : { status: 'offline', since },
  });
  waiting = new Promise<void>((resolve) => {
    const timer = setTimeout(() => wake?.(), wait);
    wake = () => {
      clearTimeout(timer);
      waiting = null;
      wake = null;
      resolve();
    };
  });
  return waiting;
}

/** Tries again at once: the network is back, the tab is looked at, or a person asked. */
export function retryNow(): void {
  wake?.();
}

export function watchBrowser(): void {
  window.addEventListener('online', retryNow);
  window.addEventListener('offline', () => {
    const { now } = connection.getState();
    if (now.status === 'reconnecting') connection.setState({ now: { status: 'offline', since: now.since } });
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') retryNow();
  });
}
