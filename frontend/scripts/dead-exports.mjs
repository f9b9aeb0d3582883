// Fails when an export is named in no other file: what nobody uses is to be deleted, what is private to stay so.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const src = resolve(fileURLToPath(new URL('../src', import.meta.url)));
const files = list(src).map((path) => ({ path, text: readFileSync(path, 'utf8') }));
const dead = files.flatMap(({ path, text }) =>
  [...text.matchAll(/^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm)]
    .map(([, name]) => name)
    .filter((name) => !files.some((other) => other.path !== path && new RegExp(`\\b${name}\\b`).test(other.text)))
    .map((name) => `${path.slice(src.length + 1)}: ${name}`),
);
for (const line of dead) console.error(`exported and not used elsewhere: ${line}`);
process.exit(dead.length === 0 ? 0 : 1);

function list(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'gen' ? [] : list(path);
    return /\.tsx?$/.test(entry.name) ? [path] : [];
  });
}
