import { Ban, CircleCheck, CircleDashed, CirclePause, CircleX, Clock, LoaderCircle, Unplug } from 'lucide-react';
import type { ToolCallStatus } from '@/lib/events/state';
import { TOOL_STATUS } from '@/lib/events/tools';

const LOOK: Record<ToolCallStatus, { icon: typeof Ban; colour: string }> = {
  requested: { icon: CircleDashed, colour: 'text-text-3' },
  asked: { icon: CirclePause, colour: 'text-warn' },
  approved: { icon: CircleCheck, colour: 'text-info' },
  started: { icon: LoaderCircle, colour: 'text-accent' },
  succeeded: { icon: CircleCheck, colour: 'text-ok' },
  failed: { icon: CircleX, colour: 'text-danger' },
  timed_out: { icon: Clock, colour: 'text-danger' },
  cancelled: { icon: Ban, colour: 'text-text-3' },
  declined: { icon: Ban, colour: 'text-warn' },
  orphaned: { icon: Unplug, colour: 'text-warn' },
};

export function ToolStatus({ status }: { status: ToolCallStatus }) {
  const { icon: Icon, colour } = LOOK[status];
  return (
    <span className={`flex shrink-0 items-center gap-1 text-meta font-medium ${colour}`}>
      <Icon size={13} aria-hidden /> {TOOL_STATUS[status]}
    </span>
  );
}
