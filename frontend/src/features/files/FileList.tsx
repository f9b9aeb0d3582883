import { FileCode2, FilePlus2, FileX2 } from 'lucide-react';
import { Empty } from '@/components/ui/Notice';
import type { FileState } from '@/lib/events/state';
import { FileDelta } from './FileDelta';

/** The files that the session changed. */
export function FileList({
  files,
  selected,
  onSelect,
}: {
  files: Readonly<Record<string, FileState>>;
  selected: string | undefined;
  onSelect: (path: string) => void;
}) {
  const sorted = Object.values(files).sort((a, b) => a.path.localeCompare(b.path));
  if (sorted.length === 0) return <Empty title="No files changed yet">Each change appears here with its diff.</Empty>;
  return (
    <ul className="px-1 pb-2">
      {sorted.map((file) => (
        <li key={file.path}>
          <button
            type="button"
            onClick={() => onSelect(file.path)}
            aria-pressed={file.path === selected}
            className="flex h-7 w-full items-center gap-2 rounded-ctl px-2 text-left hover:bg-hover aria-pressed:bg-primary-soft"
          >
            <Icon file={file} />
            <span className={`min-w-0 flex-1 truncate font-mono text-code ${file.deleted ? 'line-through' : ''}`}>
              {file.path}
            </span>
            {file.changes.length > 1 && <span className="text-meta text-text-3">{file.changes.length} changes</span>}
            <FileDelta added={file.linesAdded} removed={file.linesRemoved} />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Icon({ file }: { file: FileState }) {
  const props = { size: 14, 'aria-hidden': true, className: 'shrink-0 text-text-3' } as const;
  if (file.deleted) return <FileX2 {...props} />;
  return file.changes[0]?.kind === 'created' ? <FilePlus2 {...props} /> : <FileCode2 {...props} />;
}
