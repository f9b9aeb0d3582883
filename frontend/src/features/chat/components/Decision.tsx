import { useQuery } from 'urql';
import type { ApprovalState } from '@/lib/events/state';
import { graphql } from '@/lib/graphql/gen';
import { duration } from '@/lib/time/format';

const DecisionViewer = graphql(`
  query DecisionViewer {
    viewer {
      userId
    }
  }
`);

/** Who decided what, and how long the run waited for it. */
export function Decision({ decision }: { decision: NonNullable<ApprovalState['decision']> }) {
  const [{ data }] = useQuery({ query: DecisionViewer });
  const { granted, scope, by, via, waitedMs, reason } = decision;
  const word = granted ? `Approved ${scope === 'run' ? 'for this run' : 'once'}` : 'Denied';
  const who = by === data?.viewer.userId ? 'you' : shortName(by);
  return (
    <p className="break-words text-meta text-text-3">
      {word} by {who} ({via}) after {duration(waitedMs)}
      {reason && `: “${reason}”`}
    </p>
  );
}

/** The last characters of an id are enough to tell people apart; names are not in the log. */
function shortName(id: string): string {
  const [noun, rest] = id.split(':');
  return rest && rest.length > 8 ? `${noun} …${rest.slice(-4)}` : id;
}
