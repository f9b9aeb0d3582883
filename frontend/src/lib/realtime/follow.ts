/** Keeps one subscription alive. Each attempt asks for its variables anew, so that it resumes where we are. */
import type { TypedDocumentNode } from '@urql/core';
import { stringifyDocument } from '@urql/core';
import type { GraphQLFormattedError } from 'graphql';
import { reportSignedOut, reportUnreadable } from '@/lib/graphql/auth';
import { isSignedOut } from '@/lib/graphql/errors';
import { reportLive, untilRetry } from './connection';
import { SIGNED_OUT_CODES, socket } from './socket';

interface Following<Data, Variables> {
  document: TypedDocumentNode<Data, Variables>;
  variables: () => Variables;
  /** Returns false when this stream is of no use any more and must be opened again. */
  onData: (data: Data) => boolean;
  /** The stream ended, for whatever reason. */
  onEnd?: () => void;
  /** The server does not know the position that we asked from: begin anew. */
  onStaleCursor?: () => void;
  /** The server refused for a reason that trying again cannot mend. */
  onRefused?: (errors: readonly GraphQLFormattedError[]) => void;
}

type End = 'ended' | 'restart' | 'signedOut' | 'refused';
/** Refusals that trying again cannot mend. */
const LASTING = new Set(['NOT_FOUND', 'FORBIDDEN', 'BAD_ID', 'BAD_INPUT']);
/** Our position means nothing to the server any more, for example because a backup was restored. */
const STALE_CURSOR = new Set(['BAD_CURSOR', 'CURSOR_EXPIRED']);

/** Follows until the returned function is called. */
export function follow<Data, Variables extends Record<string, unknown>>(what: Following<Data, Variables>): () => void {
  const stopped = new AbortController();
  void loop(what, stopped.signal);
  return () => stopped.abort();
}

async function loop<Data, Variables extends Record<string, unknown>>(
  what: Following<Data, Variables>,
  stopped: AbortSignal,
): Promise<void> {
  while (!stopped.aborted) {
    const end = await once(what, stopped);
    what.onEnd?.();
    if (stopped.aborted) return;
    if (end === 'signedOut') return reportSignedOut();
    if (end === 'refused') return;
    await untilRetry();
  }
}

function once<Data, Variables extends Record<string, unknown>>(
  what: Following<Data, Variables>,
  stopped: AbortSignal,
): Promise<End> {
  return new Promise((resolve) => {
    let unsubscribe = () => {};
    const end = (how: End) => {
      stopped.removeEventListener('abort', onStop);
      unsubscribe();
      resolve(how);
    };
    const onStop = () => end('ended');
    stopped.addEventListener('abort', onStop);
    const refuse = (errors: readonly GraphQLFormattedError[]) => {
      if (errors.some(isSignedOut)) return end('signedOut');
      const has = (codes: ReadonlySet<string>) => errors.some(({ extensions }) => codes.has(String(extensions?.code)));
      if (has(STALE_CURSOR)) {
        what.onStaleCursor?.();
        return end('restart');
      }
      if (!has(LASTING)) return end('ended');
      what.onRefused?.(errors);
      return end('refused');
    };
    const payload = { query: stringifyDocument(what.document), variables: what.variables() };
    unsubscribe = socket.subscribe<Data>(payload, {
      next: ({ data, errors }) => {
        if (errors?.length) return refuse(errors);
        reportLive();
        if (data && !what.onData(data)) end('restart');
      },
      error: (problem) => {
        if (Array.isArray(problem)) return refuse(problem as GraphQLFormattedError[]);
        const code = problem instanceof Event && 'code' in problem ? Number(problem.code) : 0;
        if (code === 4406) reportUnreadable();
        end(SIGNED_OUT_CODES.includes(code) ? 'signedOut' : 'ended');
      },
      complete: () => end('ended'),
    });
  });
}
