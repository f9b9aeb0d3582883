// The root fields of the schema, answered from the fake world.
import { projections } from './projections.mjs';
import { Story } from './story.mjs';

const HOW_TO = `Set a provider and start Daybook again:

\`\`\`sh
export OPENAI_API_KEY=sk-...
daybook demo --model openai/gpt-5
\`\`\`

Any server that speaks the OpenAI protocol works with \`OPENAI_BASE_URL\`.`;

export function resolvers(world) {
  world.postings = [];
  const failure = (code, message) => Object.assign(new Error(message), { extensions: { code } });
  const need = (id) => {
    const session = world.sessions.get(id);
    if (session === undefined) throw failure('NOT_FOUND', 'there is no such session');
    return session;
  };
  const show = (session) => ({ ...session, latestRun: session.runs.at(-1) ?? null, position: `1-${world.position}` });
  const runOf = (id) => {
    for (const session of world.sessions.values()) {
      const run = session.runs.find((other) => other.id === id);
      if (run) return { session, run };
    }
    throw failure('NOT_FOUND', 'there is no such run');
  };

  function begin(session, messageText, messageType) {
    const run = newRun(world, session, messageText);
    session.runs.push(run);
    const story = new Story(world, session, run);
    const message_id = world.id('message');
    const message = { message_id, content: { text: messageText }, delivery: 'now', run_id: run.id };
    world.append(session, null, 'message.received', message, world.userId);
    story.requested(message_id, messageType);
    void story.play();
    return run;
  }

  return {
    viewer: { userId: world.userId, name: 'You', role: 'ADMIN', bookId: 'book:1' },
    modelProvider: {
      provider: 'scripted',
      model: 'scripted/daybook-1',
      scripted: true,
      contextWindowTokens: 128_000,
      howToChange: HOW_TO,
    },
    book: () => ({ id: 'book:1', position: `1-${world.position}`, hash: '00' }),
    session: ({ id }) => (world.sessions.has(id) ? show(need(id)) : null),
    run: ({ id }) => runOf(id).run,
    sessions: ({ first, search }) => {
      const matching = [...world.sessions.values()]
        .reverse()
        .filter(({ title }) => !search || title.toLowerCase().includes(search.toLowerCase()));
      return page(matching.slice(0, first).map(show), ({ id }) => id, matching.length);
    },
    ledger: ({ includeMemo, first }) => {
      const postings = includeMemo ? world.postings.flatMap(legs) : [];
      return page(
        postings.reverse().slice(0, first),
        ({ position, account }) => `${position}${account}`,
        postings.length,
      );
    },
    sessionStart: ({ input }) =>
      world.once(input.requestId, () => {
        const title = input.title ?? input.text.split(/[.,\n]/)[0].slice(0, 60);
        const session = newSession(world, {
          title,
          origin: input.text.startsWith('Write a small Python') ? 'DEMO' : 'WEB',
        });
        const run = begin(session, input.text);
        return { session: show(session), run, position: `1-${world.position}` };
      }),
    messageSend: ({ input }) =>
      world.once(input.requestId, () => {
        const session = need(input.sessionId);
        if (session.origin === 'IMPORT')
          throw failure('IMPORTED', 'an imported session is a record of what happened elsewhere');
        const active = session.runs.find(({ status }) => status !== 'ENDED');
        const run = active ?? begin(session, input.text);
        if (active) {
          const message_id = world.id('message');
          const message = { message_id, content: { text: input.text }, delivery: 'steer', run_id: run.id };
          world.append(session, null, 'message.received', message, world.userId);
          world.append(session, run.id, 'run.steered', { message_id, content: { text: input.text } }, world.userId);
        }
        return { session: show(session), run, position: `1-${world.position}` };
      }),
    approvalDecide: ({ input }) => {
      const { session, run } = runOf(input.runId);
      const decide = session.decisions.get(input.approvalId);
      if (decide === undefined) throw failure('ALREADY_DECIDED', 'this approval is already decided');
      session.decisions.delete(input.approvalId);
      if (input.scope === 'RUN') run.granted = true;
      decide(input);
      return { run, position: `1-${world.position}` };
    },
    runCancel: ({ input }) => {
      const { session, run } = runOf(input.runId);
      run.cancelled = true;
      run.status = 'ENDED';
      run.outcome = 'CANCELLED';
      session.pendingApprovals = 0;
      session.live.clear();
      world.append(
        session,
        run.id,
        'run.cancelled',
        { cancelled_by: world.userId, reason: input.reason ?? '' },
        world.userId,
      );
      return { run, position: `1-${world.position}` };
    },
    runRetry: ({ input }) => {
      const { session, run } = runOf(input.runId);
      world.append(session, run.id, 'run.retried', { requested_by: world.userId }, world.userId);
      const story = new Story(world, session, run);
      story.phase = 'error';
      run.status = 'ACTIVE';
      run.task = 'count';
      void story.play();
      return { run, position: `1-${world.position}` };
    },
    sessionEvents: ({ sessionId, after }) => world.follow(need(sessionId), after),
    sessionsChanged: () => world.changes(),
    ...projections(world, failure),
  };
}

function newSession(world, { title, origin }) {
  const id = world.id('session');
  const workspaceId = world.id('workspace');
  const createdAt = new Date().toISOString();
  const session = world.newSession({
    id,
    title,
    origin,
    workspaceId,
    createdAt,
    updatedAt: createdAt,
    model: 'scripted/daybook-1',
    approvalPolicy: 'STANDARD',
    pendingApprovals: 0,
    importSource: null,
  });
  const started = {
    session_id: id,
    title,
    owner_user_id: world.userId,
    workspace_id: workspaceId,
    origin: origin.toLowerCase(),
    model: 'scripted/daybook-1',
    approval_policy: 'standard',
  };
  world.append(session, null, 'session.started', started, world.userId);
  return session;
}

function newRun(world, session, task) {
  return {
    id: world.id('run'),
    sessionId: session.id,
    task,
    model: 'scripted/daybook-1',
    phase: 'IDLE',
    status: 'ACTIVE',
    outcome: null,
    waitingFor: null,
    steps: 0,
    requestedAt: new Date().toISOString(),
  };
}

function page(nodes, cursorOf, totalCount) {
  const edges = nodes.map((node) => ({ cursor: cursorOf(node), node }));
  return {
    edges,
    nodes,
    totalCount,
    pageInfo: {
      hasNextPage: false,
      hasPreviousPage: false,
      startCursor: null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

function legs({ about, cost, at, position }) {
  const amount = (cost / 1e9).toFixed(9);
  const base = {
    position,
    origin: 'NOTIONAL',
    sessionId: about.session_id,
    runId: about.run_id,
    llmCallId: about.llm_call_id,
    model: 'scripted/daybook-1',
    priceId: 'price:1',
    postedAt: at,
  };
  return [
    { ...base, account: 'memo:notional:expense', amountUsd: amount },
    { ...base, account: 'memo:notional:provider', amountUsd: `-${amount}` },
  ];
}
