// Reads a session's positions from the server, independently of the page.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const WATCHDOG_MS = 20_000;

/** Every position up to CaughtUp, and what `prev` proves about them. */
export function positionsFromServer({ origin, cookie, sessionId }) {
  class Socket extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { headers: { cookie, origin } });
    }
  }
  const client = createClient({
    url: `${origin.replace(/^http/, 'ws')}/graphql/ws`,
    webSocketImpl: Socket,
    retryAttempts: 0,
  });
  const query = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) {
    __typename ... on EventsFrame { prev events { position } } } }`;
  return new Promise((resolve, reject) => {
    const positions = [];
    const watchdog = setTimeout(() => reject(new Error('no CaughtUpFrame came')), WATCHDOG_MS);
    const stop = client.subscribe(
      { query, variables: { sessionId } },
      {
        next: ({ data, errors }) => {
          if (errors?.length) return reject(new Error(errors[0].message));
          const frame = data?.sessionEvents;
          if (frame?.__typename === 'EventsFrame') {
            if ((frame.prev ?? null) !== (positions.at(-1) ?? null)) reject(new Error('the server left a gap'));
            positions.push(...frame.events.map(({ position }) => position));
          }
          if (frame?.__typename !== 'CaughtUpFrame') return;
          clearTimeout(watchdog);
          stop();
          void client.dispose();
          resolve(positions);
        },
        error: (problem) => reject(problem instanceof Error ? problem : new Error(String(problem?.reason ?? problem))),
        complete: () => {},
      },
    );
  });
}
