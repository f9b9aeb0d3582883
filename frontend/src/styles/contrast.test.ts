import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8');
const TEXT = 4.5;
const CONTROL = 3;
const GROUNDS = ['bg', 'surface', 'raised', 'hover', 'sunken', 'field'];
const ON_GROUNDS = ['text', 'text-2', 'text-3', 'primary', 'accent', 'ok', 'warn', 'danger', 'info'];
const PAIRS: [string, string][] = [
  ['on-primary', 'primary-fill'],
  ['on-accent', 'accent-fill'],
  ['on-danger', 'danger-fill'],
  ['primary', 'primary-soft'],
  ['ok', 'ok-soft'],
  ['warn', 'warn-soft'],
  ['danger', 'danger-soft'],
  ['info', 'info-soft'],
  ['text', 'selection'],
  ['text', 'primary-soft'],
  ['text', 'info-soft'],
  ['text-2', 'info-soft'],
  ['text-3', 'primary-soft'],
  ['text-3', 'ok-soft'],
  ['text-3', 'danger-soft'],
];

function tokens(theme: string): Record<string, string> {
  const block = css.slice(css.indexOf('{', css.indexOf(`[data-theme='${theme}']`)));
  const found = block.slice(0, block.indexOf('}')).matchAll(/--([\w-]+): (#[0-9a-f]{6});/g);
  return Object.fromEntries([...found].map(([, name, value]) => [name, value]));
}

function luminance(hex: string): number {
  const parts = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
  const [r = 0, g = 0, b = 0] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function ratio(a = '', b = ''): number {
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

describe.each(['NeonCyberNight', 'SerialSteel'])('%s', (theme) => {
  const token = tokens(theme);
  it.each(ON_GROUNDS.flatMap((text) => GROUNDS.map((ground): [string, string] => [text, ground])).concat(PAIRS))(
    '%s can be read on %s',
    (text, ground) => {
      expect(ratio(token[text], token[ground])).toBeGreaterThanOrEqual(TEXT);
    },
  );
  it.each(GROUNDS.flatMap((ground) => ['line-strong', 'focus'].map((line): [string, string] => [line, ground])))(
    '%s can be seen on %s',
    (line, ground) => {
      expect(ratio(token[line], token[ground])).toBeGreaterThanOrEqual(CONTROL);
    },
  );
});
