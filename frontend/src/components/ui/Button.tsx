import { cva, type VariantProps } from 'class-variance-authority';
import type { ButtonHTMLAttributes, Ref } from 'react';

const button = cva(
  'inline-flex items-center justify-center gap-1.5 whitespace-nowrap rounded-ctl border font-medium transition-colors duration-100 disabled:cursor-not-allowed disabled:opacity-60',
  {
    variants: {
      tone: {
        plain: 'border-line-strong bg-raised text-text enabled:hover:bg-hover',
        primary: 'border-transparent bg-primary-fill text-on-primary enabled:hover:brightness-110',
        accent: 'border-transparent bg-accent-fill text-on-accent enabled:hover:brightness-110',
        danger: 'border-danger bg-transparent text-danger enabled:hover:bg-danger-soft',
        quiet: 'border-transparent bg-transparent text-text-2 enabled:hover:bg-hover enabled:hover:text-text',
      },
      size: {
        small: 'h-6 px-2 text-meta',
        normal: 'h-7 px-2.5',
        large: 'h-9 px-4',
        icon: 'size-7',
        iconSmall: 'size-6',
      },
    },
    defaultVariants: { tone: 'plain', size: 'normal' },
  },
);

type Props = Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'className'> &
  VariantProps<typeof button> & { ref?: Ref<HTMLButtonElement>; 'data-answer'?: boolean };

export function Button({ tone, size, type = 'button', ...rest }: Props) {
  return <button {...rest} type={type} className={button({ tone, size })} />;
}
