import { expect, it } from 'vitest';
import { splitBlocks } from './blocks';

const TEXT = 'One.\n\n```python\na = 1\n\n\nb = 2\n```\n\n- x\n\n- y\n\nLast';

it('never cuts inside a fence or a list', () => {
  expect(splitBlocks(TEXT).map(({ text }) => text.trim())).toEqual([
    'One.',
    '```python\na = 1\n\n\nb = 2\n```\n\n- x\n\n- y',
    'Last',
  ]);
});

it('knows whether the last fence is closed', () => {
  expect(splitBlocks('```js\nlet a').at(-1)?.closed).toBe(false);
  expect(splitBlocks('```js\nlet a\n```').at(-1)?.closed).toBe(true);
});

it('leaves finished blocks as they are while text grows', () => {
  for (let length = 1; length < TEXT.length; length++) {
    const before = splitBlocks(TEXT.slice(0, length)).slice(0, -1);
    const after = splitBlocks(TEXT);
    for (const [index, { text }] of before.entries()) expect(after[index]?.text.startsWith(text.trimEnd())).toBe(true);
  }
});
