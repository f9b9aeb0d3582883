import { useEffect, useState } from 'react';
import { CodeBlock } from '@/components/ui/CodeBlock';

const LONGEST = 20_000;

/** A code block that colours itself once its text is complete. */
export function Code({
  text,
  language,
  label,
  complete = true,
  wrap = false,
}: {
  text: string;
  language: string;
  label?: string;
  complete?: boolean;
  wrap?: boolean;
}) {
  const [html, setHtml] = useState<{ of: string; html: string } | null>(null);
  useEffect(() => {
    if (!complete || language === '' || text.length > LONGEST) return;
    let current = true;
    void import('./highlight').then(({ highlight }) => {
      const coloured = highlight(text, language);
      if (current && coloured !== null) setHtml({ of: text, html: coloured });
    });
    return () => {
      current = false;
    };
  }, [text, language, complete]);
  return (
    <CodeBlock text={text} label={label ?? (language || undefined)} wrap={wrap}>
      {html?.of === text ? (
        // biome-ignore lint/security/noDangerouslySetInnerHtml: highlight.js escapes the text; only its own spans remain.
        <span dangerouslySetInnerHTML={{ __html: html.html }} />
      ) : (
        text
      )}
    </CodeBlock>
  );
}
