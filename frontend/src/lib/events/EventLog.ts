/**
 * The events of one open session, in order and without holes. It lives outside React: frames go to an inbox, and one
 * flush per animation frame hands them to the fold and to the listeners. It never asks the server for anything.
 */
import { LiveItems } from './live';
import { reached, sameEpoch } from './position';
import { emptyMission, fold, type MissionState } from './reduce';
import type { Frame, LogEvent } from './types';

/** What `push` says of a frame: taken in, or the stream is of no use any more. */
type Verdict = 'taken' | 'gap' | 'otherHistory';

const HIDDEN_FLUSH_MS = 250;
/** While a long history comes in, nobody reads along: few large folds are cheaper than many small ones. */
const CATCH_UP_FLUSH_MS = 300;
const LONG_HISTORY = 1_000;

export class EventLog {
  /** How often `prev` proved that something was missing. */
  gaps = 0;
  /** How many events came again and were dropped. */
  duplicates = 0;
  /** Whether the server said that everything up to its head has been sent. */
  caughtUp = false;

  private readonly log: LogEvent[] = [];
  private inbox: Frame[] = [];
  private lastTaken: string | null = null;
  private lastShown: string | null = null;
  private mission: MissionState = emptyMission();
  private readonly items = new LiveItems();
  private readonly listeners = new Set<() => void>();
  private version = 0;
  private cancelFlush: (() => void) | null = null;

  /** The resume token: the position of the last event that we hold, in the inbox or behind it. */
  get after(): string | null {
    return this.lastTaken;
  }

  /** Events that have been flushed. The array only ever grows at its end. */
  get events(): readonly LogEvent[] {
    return this.log;
  }

  get state(): MissionState {
    return this.mission;
  }

  get live(): LiveItems {
    return this.items;
  }

  get lastPosition(): string | null {
    return this.lastShown;
  }

  /** Changes with each flush; what `useSyncExternalStore` compares. */
  getVersion = (): number => this.version;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Takes a frame in, or says why the stream it came from must be opened again at `after`. */
  push(frame: Frame): Verdict {
    if (frame.__typename === 'EventsFrame') {
      const checked = this.check(frame);
      if (checked !== 'taken') return checked;
      const fresh = frame.events.filter((event) => !reached(event.position, this.lastTaken));
      this.duplicates += frame.events.length - fresh.length;
      const last = fresh.at(-1);
      if (last === undefined) return 'taken';
      this.lastTaken = last.position;
      this.enqueue({ ...frame, events: fresh });
      return 'taken';
    }
    this.enqueue(frame);
    return 'taken';
  }

  /** The stream ended: live text may be out of date from here on, and so is "caught up". */
  disconnected(): void {
    this.caughtUp = false;
    this.touch();
  }

  /** Forgets everything: the server's history is another one. */
  reset(): void {
    this.log.length = 0;
    this.inbox = [];
    this.lastTaken = null;
    this.lastShown = null;
    this.mission = emptyMission();
    this.items.clear();
    this.touch();
  }

  /** Works the inbox off now. Called once per animation frame; tests call it by hand. */
  flush(): void {
    this.cancelFlush?.();
    this.cancelFlush = null;
    const frames = this.inbox;
    if (frames.length === 0) return;
    this.inbox = [];
    const batch: LogEvent[] = [];
    for (const frame of frames) {
      if (frame.__typename === 'EventsFrame') {
        batch.push(...frame.events);
        for (const event of frame.events) this.items.settle(event);
      } else if (frame.__typename === 'LiveFrame') {
        this.items.take(frame);
      } else if (frame.__typename === 'CaughtUpFrame') {
        this.caughtUp = true;
      }
    }
    const last = batch.at(-1);
    if (last !== undefined) {
      for (const event of batch) this.log.push(event);
      this.mission = fold(this.mission, batch);
      this.lastShown = last.position;
    }
    this.touch();
  }

  private check({ prev, events }: Extract<Frame, { __typename: 'EventsFrame' }>): Verdict {
    const first = events[0];
    const last = events.at(-1);
    const mine = this.lastTaken;
    if (first === undefined || last === undefined) return 'taken';
    if (mine !== null && !sameEpoch(first.position, mine)) return 'otherHistory';
    if ((prev ?? null) === mine) return 'taken';
    if (prev != null && !reached(prev, mine)) return this.gap();
    // An earlier `prev`: everything we hold comes again. It joins on only if our last event is among it.
    const joins = reached(last.position, mine) || events.some(({ position }) => position === mine);
    return joins ? 'taken' : this.gap();
  }

  private gap(): Verdict {
    this.gaps += 1;
    return 'gap';
  }

  private enqueue(frame: Frame): void {
    this.inbox.push(frame);
    if (frame.__typename === 'CaughtUpFrame') {
      this.cancelFlush?.();
      this.cancelFlush = null;
    }
    if (this.cancelFlush !== null) return;
    const reading = !this.caughtUp && frame.__typename === 'EventsFrame' && this.log.length > LONG_HISTORY;
    this.cancelFlush = reading ? later(() => this.flush(), CATCH_UP_FLUSH_MS) : schedule(() => this.flush());
  }

  private touch(): void {
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}

/** Runs once in the next animation frame; in a hidden tab, where none comes, after a moment. */
function schedule(run: () => void): () => void {
  if (typeof requestAnimationFrame === 'undefined' || document.visibilityState === 'hidden') {
    return later(run, HIDDEN_FLUSH_MS);
  }
  const frame = requestAnimationFrame(run);
  // The tab may be hidden between the request and the frame.
  const timer = setTimeout(run, 2 * HIDDEN_FLUSH_MS);
  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
}

function later(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
