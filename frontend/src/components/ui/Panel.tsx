import type { ReactNode } from 'react';

/** A titled region of a page. `grow` lets it take the height that is left, with its own scrolling. */
export function Panel({
  title,
  aside,
  grow = false,
  children,
}: {
  title: string;
  aside?: ReactNode;
  grow?: boolean;
  children: ReactNode;
}) {
  return (
    <section aria-label={title} className={`flex min-h-0 min-w-0 flex-col ${grow ? 'flex-1' : 'shrink-0'}`}>
      <header className="flex h-8 shrink-0 items-center gap-2 px-3">
        <h2 className="text-meta font-semibold uppercase tracking-[0.06em] text-text-3">{title}</h2>
        <div className="ml-auto flex items-center gap-2 text-meta text-text-3">{aside}</div>
      </header>
      {children}
    </section>
  );
}
