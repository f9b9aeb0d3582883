import { useEffect } from 'react';
import { useClient } from 'urql';
import { graphql } from '@/lib/graphql/gen';
import { follow } from '@/lib/realtime/follow';

export const SessionsPage = graphql(`
  query SessionsPage($first: Int!, $after: String, $search: String) {
    sessions(first: $first, after: $after, search: $search) {
      edges {
        cursor
        node {
          id
          createdAt
          ...SessionListItem_session
        }
      }
      pageInfo {
        hasNextPage
        endCursor
        hasPreviousPage
        startCursor
      }
      totalCount
    }
  }
`);

const SessionsChanged = graphql(`
  subscription SessionsChanged {
    sessionsChanged {
      position
    }
  }
`);

const REFRESH_MS = 700;
export const SESSIONS_PER_PAGE = 30;

/** Keeps the list of sessions fresh while the app is open, also after a reconnection: something may have been missed. */
export function useSessionsChanged(): void {
  const client = useClient();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = () => {
      timer = undefined;
      const newest = { first: SESSIONS_PER_PAGE, after: null, search: null };
      void client.query(SessionsPage, newest, { requestPolicy: 'network-only' }).toPromise();
    };
    const soon = () => {
      timer ??= setTimeout(refresh, REFRESH_MS);
    };
    const stop = follow({
      document: SessionsChanged,
      variables: () => {
        soon();
        return {};
      },
      onData: () => {
        soon();
        return true;
      },
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [client]);
}
