import { lazy, Suspense } from 'react';

const MarkdownBlocks = lazy(() => import('./MarkdownBlocks'));

/** Markdown from a model. Its parser is loaded with the first text; until then the text stands as it is. */
export function Markdown({ text, streaming = false }: { text: string; streaming?: boolean }) {
  return (
    <Suspense fallback={<p className="prose whitespace-pre-wrap">{text}</p>}>
      <MarkdownBlocks text={text} streaming={streaming} />
    </Suspense>
  );
}
