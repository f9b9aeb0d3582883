import { Link, useParams } from '@tanstack/react-router';
import { Plus, Search } from 'lucide-react';
import { useDeferredValue, useState } from 'react';
import { useQuery } from 'urql';
import { Button } from '@/components/ui/Button';
import { Empty, Notice, Skeleton } from '@/components/ui/Notice';
import { plural } from '@/lib/format/text';
import { problemOf } from '@/lib/graphql/errors';
import { useLastData } from '@/lib/graphql/useLastData';
import { SESSIONS_PER_PAGE, SessionsPage } from './queries';
import { SessionListItem } from './SessionListItem';

/** All sessions, newest first. */
export function SessionList({ onChosen }: { onChosen?: () => void }) {
  const [search, setSearch] = useState('');
  const [after, setAfter] = useState<string | null>(null);
  const wanted = useDeferredValue(search.trim());
  const [{ data, error, fetching }, refetch] = useQuery({
    query: SessionsPage,
    variables: { first: SESSIONS_PER_PAGE, after, search: wanted || null },
  });
  const { sessionId } = useParams({ strict: false });
  const sessions = useLastData(data)?.sessions;

  return (
    <nav aria-label="Sessions" className="flex h-full min-h-0 flex-col">
      <div className="flex h-12 shrink-0 items-center gap-2 px-3">
        <h2 className="text-head font-semibold">Sessions</h2>
        {sessions && <span className="text-meta text-text-3">{sessions.totalCount}</span>}
        <Link
          to="/"
          onClick={onChosen}
          className="ml-auto flex h-7 items-center gap-1 rounded-ctl border border-line-strong bg-raised px-2 font-medium hover:bg-hover"
        >
          <Plus size={14} aria-hidden /> New
        </Link>
      </div>
      <search className="relative shrink-0 px-3 pb-2">
        <Search size={13} aria-hidden className="absolute left-5 top-[7px] text-text-3" />
        <input
          type="search"
          aria-label="Search sessions by title"
          placeholder="Search titles"
          value={search}
          onChange={(event) => {
            setSearch(event.target.value);
            setAfter(null);
          }}
          className="h-7 w-full rounded-ctl border border-line-strong bg-field pl-7 pr-2"
        />
      </search>
      <div className="min-h-0 flex-1 overflow-y-auto px-2 pb-2">
        {error && (
          <Notice
            code={problemOf(error).code}
            action={
              <Button size="small" onClick={() => refetch({ requestPolicy: 'network-only' })}>
                Retry
              </Button>
            }
          >
            {problemOf(error).message}
          </Notice>
        )}
        {!sessions && fetching && <Skeleton rows={6} label="Loading sessions" />}
        {sessions?.edges.length === 0 && !fetching && (
          <Empty title={wanted ? `No title contains “${wanted}”` : 'No sessions yet'}>
            {wanted ? 'Try fewer letters.' : 'Start one of the example tasks.'}
          </Empty>
        )}
        <ul className="flex flex-col gap-0.5">
          {sessions?.edges.map(({ node }) => (
            <SessionListItem key={node.id} session={node} current={node.id === sessionId} onChosen={onChosen} />
          ))}
        </ul>
        {sessions?.pageInfo.hasNextPage && (
          <Button tone="quiet" disabled={fetching} onClick={() => setAfter(sessions.pageInfo.endCursor ?? null)}>
            Show more of {plural(sessions.totalCount, 'session')}
          </Button>
        )}
      </div>
    </nav>
  );
}
