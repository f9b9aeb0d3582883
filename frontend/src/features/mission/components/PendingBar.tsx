import { ShieldAlert } from 'lucide-react';
import { Button } from '@/components/ui/Button';
import type { EventLog } from '@/lib/events/EventLog';
import { useLog } from '@/lib/events/log-hooks';
import { meaningOf } from '@/lib/events/tools';
import { plural } from '@/lib/format/text';
import { useShortcuts } from '@/lib/keyboard/shortcuts';

/** While something waits for a person, this says so wherever the conversation is scrolled to. */
export function PendingBar({ log, onShow }: { log: EventLog; onShow: () => void }) {
  const pending = useLog(log, ({ state }) => state.pending);
  const first = useLog(log, ({ state }) => state.toolCalls.get(state.pending[0] ?? ''));
  const show = () => {
    onShow();
    requestAnimationFrame(() => {
      const card = document.getElementById(`approval-${first?.approval?.id}`);
      card?.scrollIntoView({ block: 'center' });
      card?.querySelector<HTMLElement>('[data-answer]')?.focus({ preventScroll: true });
    });
  };
  useShortcuts(
    first ? [{ keys: 'A', label: 'Go to the approval that waits', group: 'Mission Control', run: show }] : [],
  );
  return (
    <div role="alert" className="shrink-0">
      {first && (
        <div className="flex items-center gap-2 bg-warn-soft px-4 py-1 text-warn">
          <ShieldAlert size={14} aria-hidden className="shrink-0" />
          <p className="min-w-0 flex-1 truncate">
            <b className="font-semibold">
              {plural(pending.length, 'approval')} wait{pending.length === 1 && 's'} for you:
            </b>{' '}
            {meaningOf(first).title.toLowerCase()}
          </p>
          <Button size="small" onClick={show}>
            Show
          </Button>
        </div>
      )}
    </div>
  );
}
