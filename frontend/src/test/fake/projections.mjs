// Read models of the fake world: builds, their rebuilds, and two events that cannot be taken in.
const NAMES = ['files', 'ledger', 'runs', 'sessions', 'timeline', 'tool_calls', 'usage', 'work'];
const WORKER = 'worker:01900000-0000-7000-8000-0000000000fa';
const STEPS = 20;
const STEP_MS = 300;

export function projections(world, failure) {
  const builds = NAMES.map((name) => ({ name, version: 1, number: 1, state: 'serving', progress: null }));
  const quarantine = waiting(world);
  const of = (name, ...states) => builds.find((one) => one.name === name && states.includes(one.state));
  const need = (name) => of(name, 'serving') ?? refuse('NOT_FOUND', `there is no projection named ${name}`);
  const refuse = (code, message) => {
    throw failure(code, message);
  };
  const newest = (name) => builds.findLast((one) => one.name === name && one.progress !== null)?.progress;

  async function rebuild(build) {
    const say = (phase, done) => {
      build.progress = progress(world, build, phase, done);
    };
    for (let done = 0; done <= STEPS; done += 1) {
      say('READING', done / STEPS);
      await world.wait(STEP_MS);
      if (build.state === 'cancelled') return say('CANCELLED', done / STEPS);
    }
    build.state = 'following';
    for (const phase of ['INDEXING', 'CATCHING_UP', 'COMPARING']) {
      say(phase, 1);
      await world.wait(STEP_MS);
      if (build.state === 'cancelled') return say('CANCELLED', 1);
    }
    say('SWITCHED', 1);
    swap(build);
  }

  function swap(build) {
    const kept = of(build.name, 'retired');
    need(build.name).state = 'retired';
    build.state = 'serving';
    if (kept && kept !== build) builds.splice(builds.indexOf(kept), 1);
  }

  function settle(input, standing) {
    const at = quarantine.findIndex(
      ({ projection, position }) => projection === input.projection && position === input.position,
    );
    if (at < 0) refuse('NOT_FOUND', `${input.projection} does not wait at ${input.position}`);
    if (!standing) quarantine.splice(at, 1);
    return { standing, position: `1-${world.position}` };
  }

  return {
    projections: () =>
      builds.filter(({ state }) => state !== 'retired').map((build) => shown(world, build, quarantine)),
    projectionQuarantine: () => ({
      edges: quarantine.map((node) => ({ cursor: node.position, node })),
      nodes: quarantine,
      pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
    }),
    projectionRebuild: ({ input: { requestId, name } }) =>
      world.once(requestId, () => {
        need(name);
        if (of(name, 'rebuilding', 'following')) {
          refuse('CONFLICT', `${name} is being rebuilt already, by process 1 on fake`);
        }
        const number = Math.max(...builds.filter((one) => one.name === name).map((one) => one.number)) + 1;
        const build = { name, version: 1, number, state: 'rebuilding', progress: null };
        builds.splice(builds.findLastIndex((one) => one.name === name) + 1, 0, build);
        void rebuild(build);
        return { name, progress: build.progress };
      }),
    projectionRebuildCancel: ({ input: { name } }) => {
      const build = of(name, 'rebuilding', 'following');
      if (build) build.state = 'cancelled';
      return { name, cancelled: build !== undefined };
    },
    projectionRebuildUndo: ({ input: { requestId, name } }) =>
      world.once(requestId, () => {
        swap(of(name, 'retired') ?? refuse('CONFLICT', `${name} has no earlier build to go back to`));
        return { name };
      }),
    quarantineRetry: ({ input }) => settle(input, true),
    quarantineSkip: ({ input }) => settle(input, false),
    projectionRebuildProgress: async function* ({ name }) {
      need(name);
      let before = null;
      while (true) {
        const now = newest(name);
        if (now && now !== before) yield { projectionRebuildProgress: now };
        before = now ?? null;
        await world.wait(STEP_MS / 2);
      }
    },
  };
}

function shown(world, { name, version, number, state }, quarantine) {
  const own = quarantine.filter(({ projection }) => projection === name);
  const stops = own.find((event) => event.stops);
  const made = state === 'serving' || state === 'following';
  const position = stops ? 0 : made ? world.position : 0;
  return {
    name,
    version,
    releaseVersion: 1,
    build: `${name}_v${version}_b${number}`,
    state,
    condition: stops ? 'STOPPED' : position < world.position ? 'BEHIND' : 'CURRENT',
    position: `1-${position}`,
    lagEvents: world.position - position,
    lagSeconds: (world.position - position) / 10,
    eventsPerSecond: made && !stops ? 1.5 : 0,
    lastError: stops?.error ?? null,
    failedAt: stops?.since ?? null,
    workerId: made ? WORKER : null,
    beatAt: made ? new Date().toISOString() : null,
    stoppedAt: stops?.position ?? null,
    quarantined: own.filter((event) => !event.stops).length,
  };
}

function progress(world, { name, version, number }, phase, share) {
  return {
    name,
    version,
    build: number,
    phase,
    eventsDone: Math.round(world.position * share),
    eventsTotal: world.position,
    eventsPerSecond: 1_234.5,
    percent: share * 100,
    etaSeconds: phase === 'READING' ? (1 - share) * 3 : null,
  };
}

function waiting(world) {
  const since = new Date().toISOString();
  const session = world.id('session');
  const base = { eventVersion: 1, streamId: session.slice(8), payload: '{}', since };
  return [
    {
      ...base,
      projection: 'timeline',
      build: 'timeline_v1_b1',
      position: '1-1',
      eventType: 'message.received',
      sessionId: session,
      error: 'value too long for type character varying(200)',
      stops: false,
    },
    {
      ...base,
      projection: 'usage',
      build: 'usage_v1_b1',
      position: '1-1',
      eventType: 'usage.recorded',
      sessionId: null,
      error: 'the fold panicked: attempt to add with overflow',
      stops: true,
    },
  ];
}
