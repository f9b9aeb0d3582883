/** Views read a log at their own speed: each is told at most every so many milliseconds. */
import { useCallback, useSyncExternalStore } from 'react';
import type { EventLog } from './EventLog';

/** Lists and streaming text. */
const FAST_MS = 100;
/** Meters. */
export const CALM_MS = 250;

/** What `select` reads from the log. It must return the same value while the log has not changed. */
export function useLog<T>(log: EventLog, select: (log: EventLog) => T, everyMs: number = FAST_MS): T {
  const subscribe = useCallback((notify: () => void) => throttled(log, notify, everyMs), [log, everyMs]);
  return useSyncExternalStore(subscribe, () => select(log));
}

function throttled(log: EventLog, notify: () => void, everyMs: number): () => void {
  let last = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const fire = () => {
    timer = undefined;
    last = Date.now();
    notify();
  };
  const unsubscribe = log.subscribe(() => {
    if (timer !== undefined) return;
    const wait = everyMs - (Date.now() - last);
    if (wait <= 0) fire();
    else timer = setTimeout(fire, wait);
  });
  return () => {
    clearTimeout(timer);
    unsubscribe();
  };
}
