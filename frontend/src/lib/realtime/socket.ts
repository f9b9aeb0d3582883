/** The one WebSocket. It never reconnects by itself: a retry must carry a fresh `after`, see follow.ts. */
import { createClient } from 'graphql-ws';
import { reportConnected } from './connection';

const KEEP_ALIVE_MS = 10_000;
const ACK_TIMEOUT_MS = 8_000;

/** Close codes of the server: the session cookie is missing, too old or not enough. */
export const SIGNED_OUT_CODES: readonly number[] = [4401, 4403];

let open: WebSocket | null = null;
/** Sockets are closed when the server does not answer a ping in time: a dead network sends no close frame. */
let pongTimer: ReturnType<typeof setTimeout> | undefined;

export const socket = createClient({
  url: () => `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql/ws`,
  lazy: true,
  keepAlive: KEEP_ALIVE_MS,
  connectionAckWaitTimeout: ACK_TIMEOUT_MS,
  retryAttempts: 0,
  onNonLazyError: () => undefined,
  on: {
    opened: (ws) => {
      open = ws as WebSocket;
    },
    connected: () => reportConnected(),
    ping: (received) => {
      if (received) return;
      clearTimeout(pongTimer);
      pongTimer = setTimeout(() => open?.close(4408, 'no answer to a ping'), ACK_TIMEOUT_MS);
    },
    pong: (received) => {
      if (received) clearTimeout(pongTimer);
    },
    closed: () => {
      clearTimeout(pongTimer);
      open = null;
    },
  },
});

/** Cuts the socket as a broken network would. For tests, and for a person who asks to try again. */
export function dropSocket(): void {
  open?.close(4999, 'dropped by the page');
}
