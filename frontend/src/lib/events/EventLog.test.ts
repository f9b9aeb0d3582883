import { describe, expect, it } from 'vitest';
import { type Events, story } from '@/test/events';
import { EventLog } from './EventLog';

/** A small generator with a seed, so that a failure can be played again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

function whole(events: Events): EventLog {
  const log = new EventLog();
  log.push(events.frame(0, events.all.length));
  log.flush();
  return log;
}

const positions = (log: EventLog) => log.events.map(({ position }) => position);

describe('EventLog', () => {
  const events = story();
  const reference = whole(events);

  it('reaches the same state however the frames are cut', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed);
      const log = new EventLog();
      for (let at = 0; at < events.all.length; ) {
        const to = Math.min(events.all.length, at + 1 + Math.floor(next() * 9));
        expect(log.push(events.frame(at, to))).toBe('taken');
        if (next() < 0.4) log.flush();
        at = to;
      }
      log.flush();
      expect(positions(log)).toEqual(positions(reference));
      expect(log.state).toEqual(reference.state);
    }
  });

  it('drops what comes again, whole frames and overlapping ones', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed);
      const log = new EventLog();
      let at = 0;
      while (at < events.all.length) {
        const from = Math.max(0, at - Math.floor(next() * 6));
        const to = Math.min(events.all.length, from + 1 + Math.floor(next() * 9));
        expect(log.push(events.frame(from, to))).toBe('taken');
        at = Math.max(at, to);
      }
      log.flush();
      expect(positions(log)).toEqual(positions(reference));
      expect(log.state).toEqual(reference.state);
      expect(log.gaps).toBe(0);
    }
  });

  it('proves a gap by prev, takes nothing of that frame, and resumes at its end', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed);
      const log = new EventLog();
      let lost = 0;
      for (let at = 0; at < events.all.length; ) {
        const skip = next() < 0.3 ? 1 + Math.floor(next() * 3) : 0;
        const from = Math.min(events.all.length - 1, at + skip);
        const to = Math.min(events.all.length, from + 1 + Math.floor(next() * 5));
        const verdict = log.push(events.frame(from, to));
        if (from > at) {
          lost += 1;
          expect(verdict).toBe('gap');
          // What the follow loop does: ask again from where we are.
          expect(log.after).toBe(events.all[at - 1]?.position ?? null);
          log.push(events.frame(at, to));
        }
        at = to;
      }
      log.flush();
      expect(log.gaps).toBe(lost);
      expect(positions(log)).toEqual(positions(reference));
      expect(log.state).toEqual(reference.state);
    }
  });

  it('says so when the history is another one', () => {
    const log = whole(events);
    const other = { ...(events.all[0] as (typeof events.all)[number]), position: '2-1' };
    expect(log.push({ __typename: 'EventsFrame', prev: null, events: [other] })).toBe('otherHistory');
    log.reset();
    expect(log.after).toBeNull();
    expect(log.push({ __typename: 'EventsFrame', prev: null, events: [other] })).toBe('taken');
  });

  it('is caught up when the server says so, until the stream ends', () => {
    const log = whole(events);
    log.push({ __typename: 'CaughtUpFrame', position: '1-99' });
    log.flush();
    expect(log.caughtUp).toBe(true);
    log.disconnected();
    expect(log.caughtUp).toBe(false);
  });
});
