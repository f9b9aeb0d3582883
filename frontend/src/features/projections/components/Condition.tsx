import { Ban, CircleCheck, CircleX, Hourglass, OctagonX, TriangleAlert } from 'lucide-react';
import type { ProjectionCondition } from '@/lib/graphql/gen/graphql';

interface Shown {
  icon: typeof Ban;
  word: string;
  colour: string;
  means: string;
}

const CONDITIONS: Record<ProjectionCondition, Shown> = {
  CURRENT: { icon: CircleCheck, word: 'Current', colour: 'text-ok', means: 'It has taken in everything.' },
  BEHIND: { icon: Hourglass, word: 'Behind', colour: 'text-info', means: 'It is on its way.' },
  FAILING: {
    icon: TriangleAlert,
    word: 'Failing',
    colour: 'text-warn',
    means: 'It failed when it last tried, and is tried again.',
  },
  STOPPED: {
    icon: OctagonX,
    word: 'Stopped',
    colour: 'text-danger',
    means: 'It stopped at an event that it cannot take in, and waits for an order.',
  },
};
const OVER: Record<string, Shown> = {
  failed: { icon: CircleX, word: 'Given up', colour: 'text-danger', means: 'It failed, and will not serve.' },
  cancelled: { icon: Ban, word: 'Given up', colour: 'text-text-3', means: 'It was cancelled, and will not serve.' },
};

/** How a build fares. One that came to nothing takes in nothing, so it is not behind. */
export function Condition({ condition, state }: { condition: ProjectionCondition; state: string }) {
  const { icon: Icon, word, colour, means } = OVER[state] ?? CONDITIONS[condition];
  return (
    <span className={`inline-flex items-center gap-1 whitespace-nowrap font-medium ${colour}`} title={means}>
      <Icon size={13} aria-hidden className="shrink-0" /> {word}
    </span>
  );
}
