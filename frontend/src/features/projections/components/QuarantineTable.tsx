import { Link } from '@tanstack/react-router';
import { OctagonX } from 'lucide-react';
import { Badge } from '@/components/ui/Badge';
import { Button } from '@/components/ui/Button';
import { Empty } from '@/components/ui/Notice';
import { positionNumber } from '@/lib/events/position';
import { type FragmentType, graphql, readFragment } from '@/lib/graphql/gen';
import type { ProjectionsQuery } from '@/lib/graphql/gen/graphql';
import { ago, full } from '@/lib/time/format';
import { useNow } from '@/lib/time/useNow';
import type { Orders } from '../model/useOrders';
import { WAITING_SHOWN } from '../queries';

const QuarantineRowEvent = graphql(`
  fragment QuarantineRow_event on QuarantinedEvent {
    projection
    build
    position
    eventType
    eventVersion
    streamId
    sessionId
    error
    since
    stops
  }
`);

const COLUMNS = ['Position', 'Projection', 'Event', 'Session', 'Error', 'Since', 'Actions'];

interface Props {
  quarantine: ProjectionsQuery['projectionQuarantine'];
  orders: Orders | null;
}

/** Events that could not be taken in, by position. */
export function QuarantineTable({ quarantine: { edges, pageInfo }, orders }: Props) {
  if (edges.length === 0) {
    return (
      <Empty title="Nothing is in quarantine">
        An event that a read model cannot take in would be listed here, with its session and the error.
      </Empty>
    );
  }
  return (
    <>
      <div role="region" aria-label="Table of events in quarantine" tabIndex={0} className="overflow-x-auto">
        <table className="w-full border-collapse">
          <caption className="sr-only">Events in quarantine, by position</caption>
          <thead>
            <tr className="text-left text-meta text-text-3">
              {COLUMNS.map((name) => (
                <th key={name} scope="col" className="whitespace-nowrap px-2 py-1.5 font-medium first:pl-3 last:pr-3">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {edges.map(({ node }) => (
              <QuarantineRow key={`${node.build}/${node.position}`} event={node} orders={orders} />
            ))}
          </tbody>
        </table>
      </div>
      {pageInfo.hasNextPage && (
        <p className="px-3 py-2 text-text-3">
          These are the first {WAITING_SHOWN}; the next ones move up when these are settled.
        </p>
      )}
    </>
  );
}

function QuarantineRow(props: { event: FragmentType<typeof QuarantineRowEvent>; orders: Orders | null }) {
  const event = readFragment(QuarantineRowEvent, props.event);
  const now = useNow();
  const { projection: name, position } = event;
  const about = `event #${positionNumber(position)} in ${name}`;
  return (
    <tr className="h-8 border-t border-line">
      <td className="pl-3 pr-2 font-mono text-code text-text-3">#{positionNumber(position)}</td>
      <td className="px-2">
        <span className="flex flex-wrap items-center gap-1" title={event.build}>
          {name}
          {event.stops && (
            <Badge tone="danger" title="All that follows in the log waits in this projection.">
              <OctagonX size={11} aria-hidden /> stopped
            </Badge>
          )}
        </span>
      </td>
      <td className="whitespace-nowrap px-2 font-mono text-code">
        {event.eventType} v{event.eventVersion}
      </td>
      <td className="whitespace-nowrap px-2 font-mono text-code">
        {event.sessionId ? (
          <Link
            to="/s/$sessionId"
            params={{ sessionId: event.sessionId }}
            className="text-primary underline underline-offset-2"
          >
            …{event.sessionId.slice(-6)}
          </Link>
        ) : (
          <span className="text-text-3">none, stream …{event.streamId.slice(-6)}</span>
        )}
      </td>
      <td className="px-2">
        <span className="block min-w-48 max-w-[480px] break-words py-0.5 text-text-2">{event.error}</span>
      </td>
      <td className="whitespace-nowrap px-2 text-text-3">
        <time dateTime={event.since} title={full(event.since)}>
          {ago(event.since, now)}
        </time>
      </td>
      <td className="py-1 pl-2 pr-3">
        {props.orders && (
          <div className="flex gap-1">
            <Button
              size="small"
              aria-label={`Retry: ${about}`}
              onClick={() => props.orders?.ask({ kind: 'retry', name, position })}
            >
              Retry
            </Button>
            <Button
              size="small"
              tone="danger"
              aria-label={`Skip: ${about}`}
              onClick={() => props.orders?.ask({ kind: 'skip', name, position })}
            >
              Skip
            </Button>
          </div>
        )}
      </td>
    </tr>
  );
}
