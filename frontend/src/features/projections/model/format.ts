/** How a build fares, in words and numbers. */
import { plural } from '@/lib/format/text';
import type { ProjectionRebuildPhase, RebuildProgressSubscription } from '@/lib/graphql/gen/graphql';
import { duration, elapsed } from '@/lib/time/format';

export type Progress = RebuildProgressSubscription['projectionRebuildProgress'];

const PHASES: Record<ProjectionRebuildPhase, string> = {
  READING: 'Reading the log',
  INDEXING: 'Making indexes',
  CATCHING_UP: 'Catching up',
  COMPARING: 'Comparing with what serves',
  SWITCHED: 'Serves',
  FAILED: 'Failed',
  CANCELLED: 'Cancelled',
};

/** `Reading the log, 42 %, 1,234 events/s, 3 s left`; only reading can be counted. */
export function progressWords({ phase, percent, eventsPerSecond, etaSeconds }: Progress): string {
  if (phase !== 'READING') return PHASES[phase];
  const left = etaSeconds == null ? [] : [timeLeft(etaSeconds)];
  return [PHASES[phase], `${Math.floor(percent)} %`, `${rate(eventsPerSecond)} events/s`, ...left].join(', ');
}

function timeLeft(seconds: number): string {
  return seconds < 1 ? 'less than 1 s left' : `${elapsed(seconds * 1_000)} left`;
}

/** `0`, `3.2`, `1,234`. */
export function rate(perSecond: number): string {
  if (perSecond < 0.05) return '0';
  return perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString('en');
}

/** `none`, or `12 events, 3.4 s`. */
export function lag(events: number, seconds: number): string {
  return events === 0 ? 'none' : `${plural(events, 'event')}, ${duration(seconds * 1_000)}`;
}

/** The last block of the id of the process that posted last; the first ones are the time, and alike. */
export function owner({ workerId, beatAt }: { workerId?: string | null; beatAt?: string | null }): string {
  if (workerId == null) return 'not known';
  const last = workerId.slice(workerId.lastIndexOf('-') + 1);
  return beatAt == null ? `${last}, has left` : last;
}
