/** `+12 −3`, with words for those who do not see colours. */
export function FileDelta({ added, removed }: { added: number; removed: number }) {
  return (
    <span className="shrink-0 font-mono text-meta">
      <span className="sr-only">lines added </span>
      <span className="text-ok">+{added}</span> <span className="sr-only">lines removed </span>
      <span className={removed > 0 ? 'text-danger' : 'text-text-3'}>−{removed}</span>
    </span>
  );
}
