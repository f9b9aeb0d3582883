// Fails when the built client is heavier than its budget. Follows the Vite manifest's import closure.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const BUDGET_KB = { initialJs: 160, css: 15, fonts: 100, lazyRoute: 70 };
const dist = join(resolve(dirname(fileURLToPath(import.meta.url)), '..'), 'dist');
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'));
const bytes = (file, zip) => {
  const content = readFileSync(join(dist, file));
  return (zip ? gzipSync(content, { level: 9 }) : content).length / 1000;
};

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const initial = closure(entry, new Set());
const files = [...initial].map((key) => manifest[key]);
const rows = [
  row('initial JS, gzip', sum(files.map((file) => bytes(file.file, true))), BUDGET_KB.initialJs),
  row(
    'CSS, gzip',
    sum(unique(Object.values(manifest).flatMap((file) => file.css ?? [])).map((css) => bytes(css, true))),
    BUDGET_KB.css,
  ),
  row('Latin fonts', sum(latinFonts().map((font) => bytes(font, false))), BUDGET_KB.fonts),
];
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry) continue;
  const own = [...closure(key, new Set())].filter((part) => !initial.has(part));
  rows.push(
    row(
      `lazy ${chunk.name ?? key}, gzip`,
      sum(own.map((part) => bytes(manifest[part].file, true))),
      BUDGET_KB.lazyRoute,
    ),
  );
}
for (const { name, kb, limit, ok } of rows) {
  console.log(`${ok ? 'ok  ' : 'OVER'} ${name.padEnd(40)} ${kb.toFixed(1).padStart(7)} kB of ${limit}`);
}
process.exit(rows.every(({ ok }) => ok) ? 0 : 1);

function closure(key, seen) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const next of manifest[key].imports ?? []) closure(next, seen);
  return seen;
}

function latinFonts() {
  const all = unique(Object.values(manifest).flatMap((file) => [file.file, ...(file.assets ?? [])]));
  return all.filter((file) => /-latin-wght-normal.*\.woff2$/.test(file));
}

function unique(values) {
  return [...new Set(values)];
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function row(name, kb, limit) {
  return { name, kb, limit, ok: kb <= limit };
}
