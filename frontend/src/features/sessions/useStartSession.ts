import { useRef } from 'react';
import { useMutation } from 'urql';
import { type Problem, problemOf } from '@/lib/graphql/errors';
import { graphql } from '@/lib/graphql/gen';
import { newRequestId } from '@/lib/ids';

const SessionStart = graphql(`
  mutation SessionStart($input: SessionStartInput!) {
    sessionStart(input: $input) {
      session {
        id
        title
      }
      run {
        id
      }
    }
  }
`);

/**
 * Starts a session with a task. The same task again after a lost answer carries the same request id.
 * A request id that is given is that of the demo, which starts by itself on a first visit.
 */
export function useStartSession(onStarted: (sessionId: string) => void): {
  start: (text: string, requestId?: string) => void;
  starting: boolean;
  problem: Problem | null;
} {
  const [{ fetching, error }, send] = useMutation(SessionStart);
  const submission = useRef<{ text: string; requestId: string } | null>(null);
  const start = async (text: string, given?: string) => {
    if (submission.current?.text !== text) submission.current = { text, requestId: given ?? newRequestId() };
    const { requestId } = submission.current;
    const { data } = await send({ input: { requestId, text, demo: given !== undefined } });
    if (!data) return;
    submission.current = null;
    onStarted(data.sessionStart.session.id);
  };
  return {
    start: (text, requestId) => void start(text, requestId),
    starting: fetching,
    problem: error ? problemOf(error) : null,
  };
}
