import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';

/** A problem, told near the action that it belongs to. */
export function Notice({ code, children, action }: { code?: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div role="alert" className="flex items-start gap-2 rounded-ctl bg-danger-soft px-2.5 py-1.5 text-danger">
      <CircleAlert size={14} className="mt-[3px] shrink-0" aria-hidden />
      <p className="min-w-0 flex-1 break-words">
        {children} {code && <code className="font-mono text-meta">{code}</code>}
      </p>
      {action}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex flex-col items-start gap-0.5 px-3 pb-3 text-text-3">
      <p className="font-medium text-text-2">{title}</p>
      {children}
    </div>
  );
}

/** Grey bars while something loads; they wait 150 ms before they show. */
export function Skeleton({ rows, label }: { rows: number; label: string }) {
  return (
    <div role="status" className="late flex flex-col gap-2 p-3">
      <span className="sr-only">{label}</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="h-3 rounded-ctl bg-hover" style={{ width: `${90 - ((row * 17) % 40)}%` }} />
      ))}
    </div>
  );
}
