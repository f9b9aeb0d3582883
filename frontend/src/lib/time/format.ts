/** Time for people: how long, how long ago, when. */
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `840 ms`, `4.2 s`, `1 m 05 s`, `2 h 10 m`. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} m ${two((ms % MINUTE) / SECOND)} s`;
  return `${Math.floor(ms / HOUR)} h ${two((ms % HOUR) / MINUTE)} m`;
}

/** Whole seconds, for clocks that tick. */
export function elapsed(ms: number): string {
  return ms < MINUTE ? `${Math.max(0, Math.floor(ms / SECOND))} s` : duration(ms);
}

/** `now`, `14 s`, `3 min`, `2 h`, `5 d`, then the date. */
export function ago(then: string | number, now: number): string {
  const ms = Math.max(0, now - new Date(then).getTime());
  if (ms < 5 * SECOND) return 'now';
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  if (ms < 7 * DAY) return `${Math.floor(ms / DAY)} d`;
  return new Date(then).toLocaleDateString('en', { month: 'short', day: 'numeric' });
}

/** Time since a start: `+0:04.2`, `+1:02:03`. */
export function offset(at: string, start: string): string {
  const ms = Math.max(0, new Date(at).getTime() - new Date(start).getTime());
  const seconds = (ms % MINUTE) / SECOND;
  const minutes = Math.floor((ms % HOUR) / MINUTE);
  if (ms < HOUR) return `+${minutes}:${seconds.toFixed(1).padStart(4, '0')}`;
  return `+${Math.floor(ms / HOUR)}:${String(minutes).padStart(2, '0')}:${String(Math.floor(seconds)).padStart(2, '0')}`;
}

export function clock(at: string): string {
  return new Date(at).toLocaleTimeString('en-GB', { hour12: false });
}

export function full(at: string): string {
  return new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
}
