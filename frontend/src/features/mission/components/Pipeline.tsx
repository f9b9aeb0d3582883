import { Check, CircleDashed, Minus, X } from 'lucide-react';
import type { RunState } from '@/lib/events/state';
import { type StageStatus, stages } from '../model/pipeline';

const WORDS: Record<StageStatus, string> = {
  pending: 'not begun',
  current: 'now',
  done: 'done',
  failed: 'failed',
  skipped: 'skipped',
};
const LOOK: Record<StageStatus, string> = {
  pending: 'text-text-3',
  current: 'text-accent',
  done: 'text-ok',
  failed: 'text-danger',
  skipped: 'text-text-3',
};

/** Plan, execute, test, fix. State is told by icon and word, never by colour alone. */
export function Pipeline({ run }: { run: RunState | null }) {
  const all = stages(run);
  return (
    <ol aria-label="Pipeline" className="flex min-w-0 flex-1 items-center gap-2 max-sm:gap-1">
      {all.map(({ name, status, note }, index) => (
        <li
          key={name}
          aria-current={status === 'current' ? 'step' : undefined}
          className={`flex min-w-0 items-center gap-2 ${index < all.length - 1 ? 'flex-1' : ''}`}
        >
          <span className="flex min-w-0 items-center gap-1.5">
            <Mark status={status} stopped={run?.status === 'waiting'} />
            <span className="flex min-w-0 items-baseline gap-1.5 max-md:flex-col max-md:gap-0">
              <span
                className={`whitespace-nowrap font-semibold ${status === 'pending' ? 'text-text-3' : 'text-text'} max-sm:text-meta`}
              >
                {name}
              </span>
              <span className={`whitespace-nowrap text-meta max-sm:hidden ${LOOK[status]}`}>
                {note || WORDS[status]}
              </span>
              <span className="sr-only">
                {note && WORDS[status]}
                {index < all.length - 1 && ', then'}
              </span>
            </span>
          </span>
          {index < all.length - 1 && (
            <span
              aria-hidden
              className={`h-0.5 min-w-1 flex-1 rounded-full max-[359px]:hidden ${status === 'done' || (status === 'skipped' && run?.phase === 'done') ? 'bg-ok' : 'bg-line'}`}
            />
          )}
        </li>
      ))}
    </ol>
  );
}

function Mark({ status, stopped }: { status: StageStatus; stopped: boolean }) {
  const frame = 'flex size-5 shrink-0 items-center justify-center rounded-full';
  switch (status) {
    case 'done':
      return (
        <span className={`${frame} bg-ok-soft text-ok`}>
          <Check size={13} aria-hidden />
        </span>
      );
    case 'failed':
      return (
        <span className={`${frame} bg-danger-soft text-danger`}>
          <X size={13} aria-hidden />
        </span>
      );
    case 'current':
      return (
        <span className={`${frame} border-2 border-accent`}>
          <span className={`size-2 rounded-full bg-accent ${stopped ? '' : 'pulse-dot'}`} />
        </span>
      );
    case 'skipped':
      return (
        <span className={`${frame} text-text-3`}>
          <Minus size={14} aria-hidden />
        </span>
      );
    default:
      return (
        <span className={`${frame} text-text-3`}>
          <CircleDashed size={16} aria-hidden />
        </span>
      );
  }
}
