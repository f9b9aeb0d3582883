import { Dialog } from '@/components/ui/Dialog';
import { allShortcuts } from '@/lib/keyboard/shortcuts';

export function ShortcutSheet({ open, onClose }: { open: boolean; onClose: () => void }) {
  const shortcuts = open ? allShortcuts() : [];
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts">
      <div className="grid gap-x-8 gap-y-4 p-4 sm:grid-cols-2">
        {(['Everywhere', 'Mission Control'] as const).map((group) => {
          const own = shortcuts.filter((shortcut) => shortcut.group === group);
          if (own.length === 0) return null;
          return (
            <section key={group} aria-label={group}>
              <h3 className="pb-1 text-meta font-semibold uppercase tracking-[0.06em] text-text-3">{group}</h3>
              <dl>
                {own.map(({ keys, label }) => (
                  <div key={keys} className="flex items-baseline justify-between gap-3 py-0.5">
                    <dt className="text-text-2">{label}</dt>
                    <dd className="flex shrink-0 gap-1">
                      {keys.split(/[+ ]/).map((key) => (
                        <kbd
                          key={key}
                          className="rounded-ctl border border-line-strong bg-sunken px-1.5 font-mono text-meta"
                        >
                          {key}
                        </kbd>
                      ))}
                    </dd>
                  </div>
                ))}
              </dl>
            </section>
          );
        })}
      </div>
    </Dialog>
  );
}
