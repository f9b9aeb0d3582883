import {
  Brain,
  CircleDollarSign,
  FileDiff,
  FlaskConical,
  Footprints,
  MessageSquare,
  Play,
  ShieldCheck,
  Wrench,
} from 'lucide-react';
import { memo } from 'react';
import type { EventLog } from '@/lib/events/EventLog';
import type { Kind } from '@/lib/events/kinds';
import type { LogEvent } from '@/lib/events/types';
import { offset } from '@/lib/time/format';
import { describe, type Mood } from './model/describe';

const ICONS: Record<Kind, typeof Brain> = {
  message: MessageSquare,
  thinking: Brain,
  step: Footprints,
  tool: Wrench,
  approval: ShieldCheck,
  file: FileDiff,
  test: FlaskConical,
  money: CircleDollarSign,
  run: Play,
};
const COLOURS: Record<Mood, string> = {
  plain: 'text-text-3',
  ok: 'text-ok',
  warn: 'text-warn',
  bad: 'text-danger',
};

interface Props {
  id: string;
  event: LogEvent;
  log: EventLog;
  start: string;
  top: number;
  place: number;
  total: number;
  active: boolean;
  onOpen: (position: string) => void;
}

export const Row = memo(function Row({ id, event, log, start, top, place, total, active, onOpen }: Props) {
  const { kind, title, detail, mood } = describe(event, (call) => log.state.toolCalls.get(call)?.tool ?? '');
  const Icon = ICONS[kind];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the listbox handles the keys of its options.
    <div
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={active}
      aria-posinset={place}
      aria-setsize={total}
      onClick={() => onOpen(event.position)}
      style={{ transform: `translateY(${top}px)` }}
      className={`absolute inset-x-0 top-0 flex h-7 cursor-pointer items-center gap-2 px-3 ${active ? 'bg-primary-soft' : 'hover:bg-hover'}`}
    >
      <span className="w-14 shrink-0 text-right font-mono text-meta text-text-3">
        {offset(event.occurredAt, start)}
      </span>
      <Icon size={13} aria-label={kind} className={`shrink-0 ${COLOURS[mood]}`} />
      <span className="shrink-0 font-medium">{title}</span>
      <span className="min-w-0 flex-1 truncate text-text-3">{detail}</span>
    </div>
  );
});
