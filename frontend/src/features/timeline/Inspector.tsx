import { CodeBlock } from '@/components/ui/CodeBlock';
import { Empty } from '@/components/ui/Notice';
import type { EventLog } from '@/lib/events/EventLog';
import { useLog } from '@/lib/events/log-hooks';
import { positionNumber } from '@/lib/events/position';
import { full } from '@/lib/time/format';

/** One event, whole: where it stands in the log, who caused it, and its payload as stored. */
export function Inspector({ log, position }: { log: EventLog; position: string }) {
  const event = useLog(log, ({ events }) => events.find((other) => other.position === position));
  if (event === undefined) return <Empty title="This event is not here">It may belong to another session.</Empty>;
  const facts: [string, string][] = [
    ['Position', `#${positionNumber(event.position)} (cursor ${event.position})`],
    ['Type', `${event.eventType}, version ${event.eventVersion}`],
    ['Stream', event.streamId],
    ['Sequence', String(event.sequence)],
    ['Run', event.runId ?? 'none'],
    ['Actor', event.actorId],
    ['Occurred', full(event.occurredAt)],
    ['Recorded', full(event.recordedAt)],
  ];
  return (
    <div className="flex flex-col gap-3 p-3">
      <dl className="grid grid-cols-[64px_minmax(0,1fr)] items-baseline gap-x-3 gap-y-0.5">
        {facts.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-text-3">{name}</dt>
            <dd className="break-all font-mono text-code">{value}</dd>
          </div>
        ))}
      </dl>
      <CodeBlock label="payload" text={JSON.stringify(event.payload, null, 2)} tall />
    </div>
  );
}
