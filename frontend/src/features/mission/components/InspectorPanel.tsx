import { X } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { Button } from '@/components/ui/Button';
import { Empty } from '@/components/ui/Notice';
import { DiffView, FileDelta } from '@/features/files';
import { Inspector } from '@/features/timeline';
import type { EventLog } from '@/lib/events/EventLog';
import { useLog } from '@/lib/events/log-hooks';
import { positionNumber } from '@/lib/events/position';
import { useShortcuts } from '@/lib/keyboard/shortcuts';
import { clock } from '@/lib/time/format';
import type { MissionSearch } from '../model/search';

/** Slides over the right columns. Not modal: J and K go on walking through the timeline. */
export function InspectorPanel({
  log,
  search,
  onClose,
}: {
  log: EventLog;
  search: MissionSearch;
  onClose: () => void;
}) {
  const open = search.ev !== undefined || search.file !== undefined;
  const opener = useRef<Element | null>(null);
  const close = () => {
    onClose();
    if (opener.current instanceof HTMLElement) opener.current.focus();
  };
  useEffect(() => {
    if (open) opener.current = document.activeElement;
  }, [open]);
  useShortcuts(open ? [{ keys: 'Escape', label: 'Close the inspector', group: 'Mission Control', run: close }] : []);
  if (!open) return null;
  const title = search.file ?? (search.ev ? `Event #${positionNumber(search.ev)}` : '');
  return (
    <aside
      aria-label="Inspector"
      className={`absolute inset-y-0 right-0 z-10 flex max-w-full flex-col border-l border-line-strong bg-surface shadow-glow lg:max-w-[calc(100%-300px)] ${
        // An event leaves the timeline beside it in sight; a diff wants the width.
        search.file ? 'w-[640px]' : 'w-[640px] trio:w-[400px]'
      }`}
    >
      <header className="flex h-10 shrink-0 items-center gap-2 border-b border-line px-3">
        <h2 className="min-w-0 flex-1 truncate font-mono text-code font-semibold">{title}</h2>
        <Button tone="quiet" size="icon" aria-label="Close the inspector" onClick={close}>
          <X size={16} aria-hidden />
        </Button>
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto" tabIndex={0} role="region" aria-label={title}>
        {search.file ? (
          <FileChanges log={log} path={search.file} />
        ) : (
          <Inspector log={log} position={search.ev ?? ''} />
        )}
      </div>
    </aside>
  );
}

function FileChanges({ log, path }: { log: EventLog; path: string }) {
  const file = useLog(log, ({ state }) => state.files[path]);
  if (file === undefined) return <Empty title="This file did not change here" />;
  return (
    <ol className="flex flex-col gap-3 p-3">
      {file.changes.toReversed().map((change) => (
        <li key={change.position} className="flex flex-col gap-1">
          <p className="flex items-baseline gap-2 text-text-2">
            <b className="font-semibold text-text">{change.kind}</b> at {clock(change.at)}, #
            {positionNumber(change.position)}
            <span className="ml-auto">
              <FileDelta added={change.linesAdded} removed={change.linesRemoved} />
            </span>
          </p>
          {change.patch ? (
            <DiffView path={path} patch={change.patch} tall />
          ) : (
            <p className="text-text-3">No text diff: the file is binary or very large.</p>
          )}
        </li>
      ))}
    </ol>
  );
}
