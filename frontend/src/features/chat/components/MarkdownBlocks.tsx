import { Children, isValidElement, memo, type ReactNode } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import { splitBlocks } from '../model/blocks';
import { Code } from './Code';

const PLUGINS = [remarkGfm];

/** Markdown from a model. Finished blocks are memoised; while text streams only the last one is parsed again. */
export default function MarkdownBlocks({ text, streaming = false }: { text: string; streaming?: boolean }) {
  const blocks = splitBlocks(text);
  return (
    <div className="prose min-w-0">
      {blocks.map((block, index) => (
        <Block key={index} text={block.text} complete={!streaming || index < blocks.length - 1 || block.closed} />
      ))}
    </div>
  );
}

const Block = memo(function Block({ text, complete }: { text: string; complete: boolean }) {
  return (
    <ReactMarkdown remarkPlugins={PLUGINS} components={complete ? COMPLETE : STREAMING}>
      {text}
    </ReactMarkdown>
  );
});

const COMPLETE = components(true);
const STREAMING = components(false);

function components(complete: boolean): Components {
  return {
    pre: ({ children }) => {
      const code = Children.toArray(children).find(isValidElement<{ className?: string; children?: ReactNode }>);
      const language = /language-(\S+)/.exec(code?.props.className ?? '')?.[1] ?? '';
      const text = String(code?.props.children ?? '').replace(/\n$/, '');
      return <Code text={text} language={language} complete={complete} />;
    },
    a: ({ href, children }) => (
      <a href={href} target="_blank" rel="noreferrer noopener">
        {children}
      </a>
    ),
    // A picture from a model would be a request to somebody else's server.
    img: ({ alt, src }) => <span>[picture: {alt || String(src)}]</span>,
    h1: ({ children }) => <h3>{children}</h3>,
    h2: ({ children }) => <h3>{children}</h3>,
    h3: ({ children }) => <h4>{children}</h4>,
    h4: ({ children }) => <h4>{children}</h4>,
  };
}
