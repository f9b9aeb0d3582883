/** The logs of the sessions that are open. The last few stay, so that going back to one does not read it again. */
import type { GraphQLFormattedError } from 'graphql';
import { graphql } from '@/lib/graphql/gen';
import { connection } from '@/lib/realtime/connection';
import { follow } from '@/lib/realtime/follow';
import { dropSocket } from '@/lib/realtime/socket';
import { EventLog } from './EventLog';
import type { Frame } from './types';

const KEPT_LOGS = 3;

const SessionEvents = graphql(`
  subscription SessionEvents($sessionId: ID!, $after: String) {
    sessionEvents(sessionId: $sessionId, after: $after) {
      __typename
      ... on EventsFrame {
        prev
        events {
          position
          eventType
          eventVersion
          streamId
          sequence
          runId
          actorId
          occurredAt
          recordedAt
          payload
        }
      }
      ... on LiveFrame {
        runId
        itemId
        kind
        offset
        text
        done
      }
      ... on CaughtUpFrame {
        position
      }
      ... on HeartbeatFrame {
        position
      }
      ... on FellBehindFrame {
        position
      }
    }
  }
`);

const logs = new Map<string, EventLog>();

/** The log of a session; events stay when it is closed, so that it resumes where it was. */
export function logOf(sessionId: string): EventLog {
  const log = logs.get(sessionId) ?? new EventLog();
  logs.delete(sessionId);
  logs.set(sessionId, log);
  for (const old of [...logs.keys()].slice(0, -KEPT_LOGS)) logs.delete(old);
  return log;
}

/** Follows a session until the returned function is called. */
export function followSession(
  sessionId: string,
  log: EventLog,
  onRefused: (errors: readonly GraphQLFormattedError[]) => void,
): () => void {
  exposeForTests(log);
  return follow({
    document: SessionEvents,
    variables: () => ({ sessionId, after: log.after }),
    onData: ({ sessionEvents }) => {
      const verdict = log.push(sessionEvents as Frame);
      if (verdict === 'otherHistory') log.reset();
      return verdict === 'taken';
    },
    onEnd: () => log.disconnected(),
    onStaleCursor: () => log.reset(),
    onRefused,
  });
}

declare global {
  interface Window {
    /** What browser tests read of the open session. */
    __daybook?: {
      positions: () => string[];
      readonly gaps: number;
      readonly duplicates: number;
      readonly reconnects: number;
      /** Cuts the socket as a broken network would. */
      dropSocket: () => void;
    };
  }
}

function exposeForTests(log: EventLog): void {
  window.__daybook = {
    dropSocket,
    positions: () => log.events.map(({ position }) => position),
    get gaps() {
      return log.gaps;
    },
    get duplicates() {
      return log.duplicates;
    },
    get reconnects() {
      return connection.getState().reconnects;
    },
  };
}
