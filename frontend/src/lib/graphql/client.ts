/** Entities by GraphQL over HTTP, with a normalised cache. The event log is not in here, see lib/events. */
import { type Cache, cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import { Client, fetchExchange, mapExchange } from 'urql';
import { reportSignedOut } from './auth';
import { signedOut } from './errors';

const noKey = () => null;

/** A changed list is read again by whoever shows it. */
function forgetSessions(cache: Cache): void {
  for (const { fieldName, arguments: args } of cache.inspectFields('Query')) {
    if (fieldName === 'sessions') cache.invalidate('Query', fieldName, args);
  }
}

export const client = new Client({
  url: '/graphql',
  preferGetMethod: false,
  fetchOptions: { credentials: 'same-origin' },
  exchanges: [
    mapExchange({
      onError: (error) => {
        if (signedOut(error)) reportSignedOut();
      },
    }),
    cacheExchange({
      keys: {
        Viewer: noKey,
        ModelProvider: noKey,
        PageInfo: noKey,
        ImportSource: noKey,
        Usage: noKey,
        RunLimits: noKey,
        RunError: noKey,
        PlanItem: noKey,
        File: noKey,
        TimelineEntry: ({ position }) => (typeof position === 'string' ? position : null),
        LedgerEntry: ({ position, account }) => `${String(position)}/${String(account)}`,
        Projection: ({ build }) => (typeof build === 'string' ? build : null),
        QuarantinedEvent: ({ build, position }) => `${String(build)}/${String(position)}`,
        ProjectionRebuildPayload: noKey,
        ProjectionRebuildCancelPayload: noKey,
        ProjectionRebuildUndoPayload: noKey,
        QuarantinePayload: noKey,
        SessionStartPayload: noKey,
        MessageSendPayload: noKey,
        ApprovalDecidePayload: noKey,
        RunCancelPayload: noKey,
        RunRetryPayload: noKey,
      },
      resolvers: { Query: { sessions: relayPagination(), ledger: relayPagination() } },
      updates: { Mutation: { sessionStart: (_result, _args, cache) => forgetSessions(cache) } },
    }),
    fetchExchange,
  ],
});
