import { describe, expect, it } from 'vitest';
import type { Problem } from '@/lib/graphql/errors';
import { offered } from './actions';
import { type Build, earlierKept, groupOf, groups } from './builds';
import { lag, owner, type Progress, progressWords, rate } from './format';
import { inTurn } from './inTurn';
import { news } from './news';
import { keyOf, wordsOf } from './orders';
import { requestIds } from './requestIds';

const build = (number: number, state: string, name = 'timeline'): Build => ({
  name,
  version: 1,
  releaseVersion: 1,
  build: `${name}_v1_b${number}`,
  state,
});
const timeline = (...builds: Build[]) => groupOf(builds, 'timeline');

describe('builds of a projection', () => {
  it('are one group, in the order of the list', () => {
    const list = [build(1, 'serving', 'runs'), build(1, 'serving'), build(2, 'following')];
    expect(groups(list).map(({ name, serving, underWay }) => [name, serving?.build, underWay?.build])).toEqual([
      ['runs', 'runs_v1_b1', undefined],
      ['timeline', 'timeline_v1_b1', 'timeline_v1_b2'],
    ]);
  });

  it('are shown without those that came to nothing before the present one', () => {
    const shown = timeline(build(2, 'failed'), build(3, 'serving'), build(4, 'cancelled'), build(5, 'failed')).shown;
    expect(shown.map(({ build }) => build)).toEqual(['timeline_v1_b3', 'timeline_v1_b5']);
  });

  it('tell whether an earlier one is kept', () => {
    expect(earlierKept(timeline(build(1, 'serving')), null)).toBe(false);
    expect(earlierKept(timeline(build(1, 'serving'), build(2, 'cancelled')), 2)).toBe(false);
    expect(earlierKept(timeline(build(2, 'serving')), 2)).toBe(true);
    // Gone back to the first: the second is kept, and not listed.
    expect(earlierKept(timeline(build(1, 'serving')), 2)).toBe(true);
    expect(earlierKept(timeline(build(1, 'serving'), build(3, 'cancelled')), null)).toBe(true);
  });
});

describe('what is offered', () => {
  const seen = { newest: null, still: false };

  it('depends on what serves and what is under way', () => {
    expect(offered(timeline(build(1, 'serving')), seen)).toEqual(['rebuild']);
    expect(offered(timeline(build(2, 'serving')), seen)).toEqual(['rebuild', 'undo']);
    expect(offered(timeline(build(2, 'serving'), build(3, 'rebuilding')), seen)).toEqual(['cancel']);
  });

  it('has a way on for a build that was left or waits because it differs', () => {
    const still = { newest: 2, still: true };
    expect(offered(timeline(build(1, 'serving'), build(2, 'rebuilding')), still)).toEqual(['cancel', 'resume']);
    expect(offered(timeline(build(1, 'serving'), build(2, 'following')), still)).toEqual([
      'cancel',
      'resume',
      'accept',
    ]);
  });

  it('is nothing where this release knows no such projection', () => {
    expect(offered(timeline({ ...build(1, 'serving'), releaseVersion: null }), seen)).toEqual([]);
  });
});

describe('progress in words', () => {
  const reading: Progress = {
    name: 'timeline',
    version: 1,
    build: 2,
    phase: 'READING',
    eventsDone: 42,
    eventsTotal: 100,
    eventsPerSecond: 1_234.4,
    percent: 42.9,
    etaSeconds: 65,
  };

  it('counts while it reads, and names the phase after that', () => {
    expect(progressWords(reading)).toBe('Reading the log, 42 %, 1,234 events/s, 1 m 05 s left');
    expect(progressWords({ ...reading, etaSeconds: 0.2 })).toContain('less than 1 s left');
    expect(progressWords({ ...reading, etaSeconds: null })).toBe('Reading the log, 42 %, 1,234 events/s');
    expect(progressWords({ ...reading, phase: 'COMPARING' })).toBe('Comparing with what serves');
  });

  it('says how far a build is behind, how fast it goes, and whose it is', () => {
    expect([lag(0, 0), lag(1, 0.25), lag(1_200, 65)]).toEqual(['none', '1 event, 250 ms', '1,200 events, 1 m 05 s']);
    expect([0.01, 3.21, 1_234.5].map(rate)).toEqual(['0', '3.2', '1,235']);
    const workerId = 'worker:01900000-0000-7000-8000-0000000000fa';
    expect(owner({ workerId, beatAt: '2026-01-01T00:00:00Z' })).toBe('0000000000fa');
    expect(owner({ workerId, beatAt: null })).toBe('0000000000fa, has left');
    expect(owner({ workerId: null })).toBe('not known');
  });
});

describe('news', () => {
  const told = (before: Build[], now: Build[]) => news(before, now).map(({ text }) => text);
  const first = [build(1, 'serving')];

  it('is what changed between two looks', () => {
    expect(told([], first)).toEqual([]);
    expect(told(first, first)).toEqual([]);
    const begun = [...first, build(2, 'rebuilding')];
    expect(told(first, begun)).toEqual(['timeline: build 2 is being made; build 1 goes on serving.']);
    expect(told(begun, [...first, build(2, 'following')])).toEqual([]);
    expect(told(begun, [build(2, 'serving')])).toEqual(['timeline: build 2 serves in place of build 1.']);
    expect(told([build(2, 'serving')], first)).toEqual(['timeline: build 1 serves in place of build 2.']);
    expect(told(begun, [...first, build(2, 'cancelled')])).toEqual([
      'timeline: build 2 was cancelled; build 1 goes on serving.',
    ]);
    expect(news(begun, [...first, build(2, 'failed')])).toEqual([
      { text: "timeline: build 2 failed; build 1 goes on serving. The server's log says why.", bad: true },
    ]);
    expect(told([...first, build(2, 'failed')], [...first, build(2, 'failed')])).toEqual([]);
  });

  it('includes a rebuild that was quicker than the looks', () => {
    expect(told(first, [build(2, 'serving')])).toEqual(['timeline: build 2 serves in place of build 1.']);
  });
});

describe('orders', () => {
  it('say what happens, and are told apart by what they are about', () => {
    expect(wordsOf({ kind: 'rebuildAll', names: ['runs', 'usage'] }).sentence).toContain('2 read models');
    expect(wordsOf({ kind: 'skip', name: 'usage', position: '1-42' }).title).toBe('Leave event #42 out of usage?');
    expect(keyOf({ kind: 'retry', name: 'usage', position: '1-42' })).not.toBe(
      keyOf({ kind: 'retry', name: 'usage', position: '1-43' }),
    );
  });

  it('keep their request id until the server has answered', () => {
    const ids = requestIds();
    const problem = (code: string): Problem => ({ code, message: '', unsent: false });
    const order = { kind: 'skip', name: 'usage', position: '1-42', reason: 'double' };
    const first = ids.of(order);
    for (const code of ['NETWORK', 'UNAVAILABLE', 'NOT_YET_VISIBLE', 'INTERNAL']) {
      ids.answered(order, problem(code));
      expect(ids.of({ ...order })).toBe(first);
    }
    expect(ids.of({ ...order, reason: 'another' })).not.toBe(first);
    ids.answered(order, problem('CONFLICT'));
    const second = ids.of(order);
    expect(second).not.toBe(first);
    ids.answered(order, null);
    expect(ids.of(order)).not.toBe(second);
  });
});

describe('rebuilding all', () => {
  const done: string[] = [];
  const steps = {
    begin: async (name: string, left: readonly string[]) => {
      done.push(`${name}, ${left.length} left`);
      return name !== 'refused';
    },
    ended: async (name: string) => {
      done.push(`${name} ended`);
    },
  };

  it('goes one after another, past what is refused, until it is told to stop', async () => {
    await inTurn(['runs', 'refused', 'usage', 'work'], { ...steps, wanted: (name) => name !== 'work' });
    expect(done).toEqual(['runs, 3 left', 'runs ended', 'refused, 2 left', 'usage, 1 left', 'usage ended']);
  });
});
