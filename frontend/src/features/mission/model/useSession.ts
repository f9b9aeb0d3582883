import type { GraphQLFormattedError } from 'graphql';
import { useEffect, useState } from 'react';
import type { EventLog } from '@/lib/events/EventLog';
import { followSession, logOf } from '@/lib/events/open';

/** The log of a session, followed while it is shown. */
export function useSession(sessionId: string): { log: EventLog; refused: GraphQLFormattedError | null } {
  const [refused, setRefused] = useState<{ id: string; error: GraphQLFormattedError } | null>(null);
  const [held, setHeld] = useState(() => ({ sessionId, log: logOf(sessionId) }));
  let current = held;
  if (held.sessionId !== sessionId) {
    current = { sessionId, log: logOf(sessionId) };
    setHeld(current);
  }
  const { log } = current;
  useEffect(
    () =>
      followSession(sessionId, log, ([error]) => {
        if (error) setRefused({ id: sessionId, error });
      }),
    [sessionId, log],
  );
  return { log, refused: refused?.id === sessionId ? refused.error : null };
}
