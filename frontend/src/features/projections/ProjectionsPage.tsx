import { type RefObject, useCallback, useEffect, useRef, useState } from 'react';
import { useQuery } from 'urql';
import { Button } from '@/components/ui/Button';
import { Notice, Skeleton } from '@/components/ui/Notice';
import { Panel } from '@/components/ui/Panel';
import { useViewer } from '@/features/viewer';
import { problemOf } from '@/lib/graphql/errors';
import { useLastData } from '@/lib/graphql/useLastData';
import { OrderDialog } from './components/OrderDialog';
import { ProjectionTable } from './components/ProjectionTable';
import { QuarantineTable } from './components/QuarantineTable';
import { RebuildAllButton, RebuildAllRefused } from './components/RebuildAll';
import { type Build, groups } from './model/builds';
import { type News, news } from './model/news';
import { keyOf, wordsOf } from './model/orders';
import { type Orders, useOrders } from './model/useOrders';
import { Projections, useLook, WAITING_SHOWN } from './queries';

/** How read models fare, how they are made anew, and what they could not take in. Auditors look, administrators act. */
export function ProjectionsPage() {
  const [{ data, fetching, error }, refetch] = useQuery({
    query: Projections,
    variables: { waiting: WAITING_SHOWN },
    requestPolicy: 'cache-and-network',
  });
  const look = useCallback(() => refetch({ requestPolicy: 'network-only' }), [refetch]);
  const problem = error ? problemOf(error) : null;
  const forbidden = problem?.code === 'FORBIDDEN';
  useLook(look, !forbidden);
  useEffect(() => {
    document.title = 'Projections · Daybook';
  }, []);

  const settled = useRef(false);
  const given = useOrders((order, refusal) => {
    look();
    if (!refusal && (order.kind === 'retry' || order.kind === 'skip')) settled.current = true;
  });
  const orders = useViewer()?.role === 'ADMIN' ? given : null;
  const shown = useLastData(data);
  const quarantine = useFocusWhenGone(settled, shown?.projectionQuarantine);
  const builds = shown?.projections;
  const happened = useNews(builds);
  const names = groups(builds ?? []).flatMap(({ name, builds, underWay }) =>
    builds.some(({ releaseVersion }) => releaseVersion != null) && !underWay ? [name] : [],
  );

  return (
    <main id="main" className="flex min-h-0 min-w-0 flex-1 flex-col">
      <header className="flex shrink-0 flex-wrap items-center gap-x-4 gap-y-1 border-b border-line bg-surface px-4 py-2">
        <h1 tabIndex={-1} className="text-head font-semibold outline-none">
          Projections
        </h1>
        <p className="min-w-0 flex-1 text-text-3 max-sm:basis-full">
          Read models, made from the log. What serves goes on serving while it is made anew.
        </p>
        {orders && <RebuildAllButton names={names} onAsk={() => orders.ask({ kind: 'rebuildAll', names })} />}
      </header>
      <div className="min-h-0 flex-1 overflow-auto">
        <div className="flex flex-col gap-2 p-3 empty:hidden">
          {problem && (
            <Notice
              code={problem.code}
              action={
                forbidden ? undefined : (
                  <Button size="small" onClick={look}>
                    Retry
                  </Button>
                )
              }
            >
              {problem.message}
            </Notice>
          )}
          {orders && <RebuildAllRefused />}
          {orders && <Refusals orders={orders} />}
        </div>
        <div role="status" className="min-h-7 px-3 text-text-2">
          {happened.map(({ text, bad }) => (
            <p key={text} className={`py-1 ${bad ? 'text-danger' : ''}`}>
              {text}
            </p>
          ))}
        </div>
        {!shown && fetching && <Skeleton rows={8} label="Loading read models" />}
        {shown && (
          <>
            <Panel title="Read models">
              <ProjectionTable builds={shown.projections} orders={orders} look={look} />
            </Panel>
            <div id="quarantine" ref={quarantine} tabIndex={-1} className="pt-4 outline-none">
              <Panel title="Quarantine">
                <QuarantineTable quarantine={shown.projectionQuarantine} orders={orders} />
              </Panel>
            </div>
          </>
        )}
      </div>
      {orders && <OrderDialog orders={orders} />}
    </main>
  );
}

/** Refusals of orders whose question was closed meanwhile. */
function Refusals({ orders }: { orders: Orders }) {
  const open = orders.asked && keyOf(orders.asked);
  return orders.sent.map(
    ({ order, problem }) =>
      problem &&
      keyOf(order) !== open && (
        <Notice
          key={keyOf(order)}
          code={problem.code}
          action={
            <Button size="small" onClick={() => orders.dismiss(order)}>
              Close
            </Button>
          }
        >
          {wordsOf(order).title} {problem.message}
        </Notice>
      ),
  );
}

/** A row that was settled goes, with the button in it that had the focus: the list takes it over. */
function useFocusWhenGone(settled: RefObject<boolean>, list: unknown): RefObject<HTMLDivElement | null> {
  const region = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is what the effect waits for.
  useEffect(() => {
    if (!settled.current) return;
    settled.current = false;
    if (document.activeElement === document.body) region.current?.focus();
  }, [list]);
  return region;
}

/** What happened last, until something else does. */
function useNews(builds: readonly Build[] | undefined): readonly News[] {
  const [seen, setSeen] = useState(builds);
  const [last, setLast] = useState<readonly News[]>([]);
  if (builds && builds !== seen) {
    setSeen(builds);
    const found = news(seen ?? [], builds);
    if (found.length > 0) setLast(found);
  }
  return last;
}
