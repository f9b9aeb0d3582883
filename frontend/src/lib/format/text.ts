/** Words and numbers for people. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? 'not reported' : value.toLocaleString('en');
}

export function bytes(value: number): string {
  if (value < 1_000) return `${value} B`;
  if (value < 1_000_000) return `${(value / 1_000).toFixed(1)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

/** `fixture/scripted-1` without its provider. */
export function modelName(model: string): string {
  return model.slice(model.indexOf('/') + 1);
}

export function firstLine(text: string, max = 160): string {
  const line = text.trimStart().split('\n', 1)[0] ?? '';
  return line.length > max ? `${line.slice(0, max - 1)}…` : line;
}
