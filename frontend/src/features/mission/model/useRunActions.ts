import { useRef } from 'react';
import { useMutation } from 'urql';
import { type Problem, problemOf } from '@/lib/graphql/errors';
import { graphql } from '@/lib/graphql/gen';
import { newRequestId } from '@/lib/ids';

const RunCancel = graphql(`
  mutation RunCancel($input: RunCancelInput!) {
    runCancel(input: $input) {
      run {
        id
        status
        outcome
      }
    }
  }
`);
const RunRetry = graphql(`
  mutation RunRetry($input: RunRetryInput!) {
    runRetry(input: $input) {
      run {
        id
        status
        outcome
      }
    }
  }
`);

export function useRunActions() {
  const [cancelled, cancel] = useMutation(RunCancel);
  const [retried, retry] = useMutation(RunRetry);
  const ids = useRef(new Map<string, string>());
  // The id lives until the server has answered: pressing again after a lost answer is the same request.
  const idFor = (what: string) => {
    const id = ids.current.get(what) ?? newRequestId();
    ids.current.set(what, id);
    return id;
  };
  const error = cancelled.error ?? retried.error;
  return {
    stop: async (runId: string) => {
      const { error } = await cancel({ input: { requestId: idFor(`stop ${runId}`), runId } });
      if (!error?.networkError) ids.current.delete(`stop ${runId}`);
    },
    retry: async (runId: string) => {
      const { error } = await retry({ input: { requestId: idFor(`retry ${runId}`), runId } });
      if (!error?.networkError) ids.current.delete(`retry ${runId}`);
    },
    stopping: cancelled.fetching,
    retrying: retried.fetching,
    problem: (error ? problemOf(error) : null) satisfies Problem | null,
  };
}
