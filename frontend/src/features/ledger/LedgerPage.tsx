import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { useQuery } from 'urql';
import { Badge } from '@/components/ui/Badge';
import { Button } from '@/components/ui/Button';
import { Empty, Notice, Skeleton } from '@/components/ui/Notice';
import { positionNumber } from '@/lib/events/position';
import { formatUsd } from '@/lib/format/money';
import { modelName } from '@/lib/format/text';
import { problemOf } from '@/lib/graphql/errors';
import { type FragmentType, graphql, readFragment } from '@/lib/graphql/gen';
import { useLastData } from '@/lib/graphql/useLastData';
import { full } from '@/lib/time/format';

const PAGE = 50;

const LedgerEntries = graphql(`
  query LedgerEntries($first: Int!, $after: String, $includeMemo: Boolean!) {
    ledger(first: $first, after: $after, includeMemo: $includeMemo) {
      edges {
        cursor
        node {
          position
          account
          ...Posting_entry
        }
      }
      pageInfo {
        hasNextPage
        endCursor
        hasPreviousPage
        startCursor
      }
    }
  }
`);

const PostingEntry = graphql(`
  fragment Posting_entry on LedgerEntry {
    position
    account
    amountUsd
    origin
    sessionId
    model
    postedAt
  }
`);

/** Double entry, newest first. Memo accounts hold what nobody bills. */
export function LedgerPage({ memo, onMemo }: { memo: boolean; onMemo: (memo: boolean) => void }) {
  const [after, setAfter] = useState<string | null>(null);
  const [{ data, fetching, error }, refetch] = useQuery({
    query: LedgerEntries,
    variables: { first: PAGE, after, includeMemo: memo },
    requestPolicy: 'cache-and-network',
  });
  useEffect(() => {
    document.title = 'Ledger · Daybook';
  }, []);
  const ledger = useLastData(data)?.ledger;
  return (
    <main id="main" className="flex min-h-0 min-w-0 flex-1 flex-col">
      <header className="flex shrink-0 flex-wrap items-center gap-x-4 gap-y-1 border-b border-line bg-surface px-4 py-2">
        <h1 tabIndex={-1} className="text-head font-semibold outline-none">
          Ledger
        </h1>
        <p className="min-w-0 flex-1 text-text-3 max-sm:basis-full">
          Every posting. Amounts of one charge add up to zero.
        </p>
        <label className="flex h-7 cursor-pointer items-center gap-2">
          <input
            type="checkbox"
            checked={memo}
            onChange={(event) => {
              setAfter(null);
              onMemo(event.target.checked);
            }}
            className="size-4 accent-[var(--primary-fill)]"
          />
          Memo accounts (notional, imported)
        </label>
      </header>
      <div className="min-h-0 flex-1 overflow-auto">
        {error && (
          <div className="p-3">
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
          </div>
        )}
        {!ledger && fetching && <Skeleton rows={8} label="Loading postings" />}
        {ledger?.edges.length === 0 && (
          <Empty title={memo ? 'No postings yet' : 'Nothing was billed'}>
            {memo ? (
              'Postings appear when a model call is charged.'
            ) : (
              <>
                <p>A scripted model and imported sessions post to memo accounts only.</p>
                <Button onClick={() => onMemo(true)}>Show memo accounts</Button>
              </>
            )}
          </Empty>
        )}
        {ledger && ledger.edges.length > 0 && (
          <table className="w-full border-collapse">
            <caption className="sr-only">Postings, newest first</caption>
            <thead className="sticky top-0 bg-surface">
              <tr className="text-left text-meta text-text-3">
                <th scope="col" className="px-4 py-1.5 font-medium">
                  Position
                </th>
                <th scope="col" className="px-2 font-medium">
                  Account
                </th>
                <th scope="col" className="px-2 text-right font-medium">
                  Amount
                </th>
                <th scope="col" className="px-2 font-medium max-md:hidden">
                  Origin
                </th>
                <th scope="col" className="px-2 font-medium max-lg:hidden">
                  Model
                </th>
                <th scope="col" className="px-2 font-medium max-md:hidden">
                  Session
                </th>
                <th scope="col" className="px-4 font-medium max-lg:hidden">
                  Posted
                </th>
              </tr>
            </thead>
            <tbody>
              {ledger.edges.map(({ node }) => (
                <Posting key={`${node.position}/${node.account}`} entry={node} />
              ))}
            </tbody>
          </table>
        )}
        {ledger?.pageInfo.hasNextPage && (
          <div className="p-3">
            <Button disabled={fetching} onClick={() => setAfter(ledger.pageInfo.endCursor ?? null)}>
              Show older postings
            </Button>
          </div>
        )}
      </div>
    </main>
  );
}

function Posting({ entry: masked }: { entry: FragmentType<typeof PostingEntry> }) {
  const entry = readFragment(PostingEntry, masked);
  const credit = entry.amountUsd.startsWith('-');
  return (
    <tr className="h-7 border-t border-line hover:bg-hover">
      <td className="px-4 font-mono text-code text-text-3">#{positionNumber(entry.position)}</td>
      <td className="max-w-[45vw] truncate px-2 font-mono text-code">{entry.account}</td>
      <td className={`whitespace-nowrap px-2 text-right font-mono text-code ${credit ? 'text-text-2' : 'text-text'}`}>
        {formatUsd(entry.amountUsd)}
      </td>
      <td className="px-2 max-md:hidden">
        <Badge tone={entry.origin === 'METERED' ? 'ok' : 'neutral'}>{entry.origin.toLowerCase()}</Badge>
      </td>
      <td className="px-2 font-mono text-code text-text-2 max-lg:hidden">
        {entry.model ? modelName(entry.model) : 'not recorded'}
      </td>
      <td className="px-2 max-md:hidden">
        <Link
          to="/s/$sessionId"
          params={{ sessionId: entry.sessionId }}
          className="font-mono text-code text-primary underline underline-offset-2"
        >
          …{entry.sessionId.slice(-6)}
        </Link>
      </td>
      <td className="whitespace-nowrap px-4 text-text-3 max-lg:hidden">{full(entry.postedAt)}</td>
    </tr>
  );
}
