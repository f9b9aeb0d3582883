/** Cuts markdown at blank lines outside of code fences, so that finished blocks need not be parsed again. */
export interface Block {
  text: string;
  /** A fence that was opened is closed. */
  closed: boolean;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** A line that may go on with the block before: an item of a list, its continuation, a row of a table. */
const GOES_ON = /^(\s|[-*+]\s|\d+[.)]\s|\||>)/;

export function splitBlocks(text: string): Block[] {
  const blocks: Block[] = [];
  let lines: string[] = [];
  let fence: string | null = null;
  let blank = false;
  const finish = () => {
    if (lines.some((line) => line.trim() !== '')) blocks.push({ text: lines.join('\n'), closed: fence === null });
    lines = [];
  };
  for (const line of text.split('\n')) {
    const mark = FENCE.exec(line)?.[1];
    if (fence === null && blank && line.trim() !== '' && !GOES_ON.test(line)) finish();
    lines.push(line);
    blank = line.trim() === '';
    if (mark === undefined) continue;
    if (fence === null) fence = mark;
    else if (mark.startsWith(fence) && line.trim() === mark) fence = null;
  }
  finish();
  return blocks;
}
