import { cva, type VariantProps } from 'class-variance-authority';
import type { ReactNode } from 'react';

const badge = cva(
  'inline-flex shrink-0 items-center gap-1 whitespace-nowrap rounded-ctl px-1.5 text-meta font-medium',
  {
    variants: {
      tone: {
        neutral: 'bg-sunken text-text-2 ring-1 ring-inset ring-line',
        primary: 'bg-primary-soft text-primary',
        ok: 'bg-ok-soft text-ok',
        warn: 'bg-warn-soft text-warn',
        danger: 'bg-danger-soft text-danger',
        info: 'bg-info-soft text-info',
      },
    },
    defaultVariants: { tone: 'neutral' },
  },
);

export function Badge({
  tone,
  title,
  children,
}: {
  tone?: VariantProps<typeof badge>['tone'];
  title?: string;
  children: ReactNode;
}) {
  return (
    <span className={badge({ tone })} title={title}>
      {children}
    </span>
  );
}
