import { Circle, CircleCheck, CircleDot } from 'lucide-react';
import { Empty } from '@/components/ui/Notice';
import type { RunState } from '@/lib/events/state';
import type { PlanStatus } from '@/lib/events/types';

const LOOK: Record<PlanStatus, { icon: typeof Circle; word: string; colour: string; text: string }> = {
  pending: { icon: Circle, word: 'to do', colour: 'text-text-3', text: 'text-text-2' },
  in_progress: { icon: CircleDot, word: 'in progress', colour: 'text-accent', text: 'text-text font-medium' },
  done: { icon: CircleCheck, word: 'done', colour: 'text-ok', text: 'text-text-3' },
};

export function Plan({ run }: { run: RunState | null }) {
  if (!run || run.plan.length === 0)
    return <Empty title="No plan yet">The agent's plan and its progress appear here.</Empty>;
  return (
    <ol className="flex flex-col gap-1 px-3 pb-3">
      {run.plan.map(({ text, status }, index) => {
        const { icon: Icon, word, colour, text: look } = LOOK[status];
        return (
          <li key={index} className="flex items-start gap-2">
            <Icon size={14} aria-label={word} className={`mt-[3px] shrink-0 ${colour}`} />
            <span className={`min-w-0 break-words ${look}`}>{text}</span>
          </li>
        );
      })}
    </ol>
  );
}
