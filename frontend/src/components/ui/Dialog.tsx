import { X } from 'lucide-react';
import { type ReactNode, useEffect, useId, useRef } from 'react';
import { Button } from './Button';

/** A modal dialog. The browser keeps the focus inside, closes it on Escape and gives the focus back. */
export function Dialog({
  open,
  onClose,
  title,
  side = 'center',
  bare = false,
  children,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  side?: 'center' | 'left';
  /** Without a visible heading; the title is still read out. */
  bare?: boolean;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    if (open && !ref.current?.open) ref.current?.showModal();
    if (!open) ref.current?.close();
  }, [open]);
  const shape =
    side === 'left'
      ? 'm-0 mr-auto h-dvh max-h-none w-72 max-w-[85vw] border-r'
      : 'm-auto max-h-[85dvh] w-[560px] max-w-[calc(100vw-24px)] rounded-box border';
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog already; the click is for the backdrop.
    <dialog
      ref={ref}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
      aria-labelledby={heading}
      className={`bg-surface text-text shadow-glow ${shape}`}
    >
      {open && (
        <div className="flex h-full flex-col">
          <header className={bare ? 'sr-only' : 'flex items-center justify-between border-b border-line px-4 py-2.5'}>
            <h2 id={heading} className="text-head font-semibold">
              {title}
            </h2>
            {!bare && (
              <Button tone="quiet" size="icon" aria-label="Close" onClick={onClose}>
                <X size={16} aria-hidden />
              </Button>
            )}
          </header>
          <div className="min-h-0 flex-1 overflow-auto">{children}</div>
        </div>
      )}
    </dialog>
  );
}
