import { Check, Copy } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Button } from './Button';

const COPIED_MS = 1_500;

/** Code with a copy button. `children` may be highlighted; `text` is what is copied. */
export function CodeBlock({
  text,
  label,
  children,
  tall = false,
  wrap = false,
}: {
  text: string;
  label?: string;
  children?: ReactNode;
  tall?: boolean;
  /** Breaks long lines: nothing may be hidden beyond the edge. */
  wrap?: boolean;
}) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    void navigator.clipboard?.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), COPIED_MS);
    });
  };
  return (
    <figure className="group relative m-0 min-w-0 overflow-hidden rounded-ctl border border-line bg-sunken">
      {label && (
        <figcaption className="flex h-6 items-center border-b border-line px-2.5 font-mono text-meta text-text-3">
          {label}
        </figcaption>
      )}
      <pre
        tabIndex={0}
        className={`overflow-auto px-2.5 py-2 font-mono text-code ${tall ? 'max-h-[60dvh]' : 'max-h-80'} ${wrap ? 'whitespace-pre-wrap [overflow-wrap:anywhere] pr-8' : ''}`}
      >
        <code>{children ?? text}</code>
      </pre>
      <div className={`absolute right-0.5 ${label ? 'top-0' : 'top-1'} rounded-ctl bg-sunken`}>
        <Button tone="quiet" size="iconSmall" onClick={copy} aria-label={copied ? 'Copied' : 'Copy code'}>
          {copied ? <Check size={13} aria-hidden /> : <Copy size={13} aria-hidden />}
        </Button>
      </div>
    </figure>
  );
}
