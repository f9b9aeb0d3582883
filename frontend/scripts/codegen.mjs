// Generates src/lib/graphql/gen from the server's schema and the documents in src, without a CLI.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { gqlPluckFromCodeStringSync } from '@graphql-tools/graphql-tag-pluck';
import { buildASTSchema, parse } from 'graphql';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'src/lib/graphql/gen/');
const schemaPath = process.env.SCHEMA ?? join(root, '../graphql/schema.graphql');
if (!existsSync(schemaPath)) {
  console.error(`No schema at ${schemaPath}. Set SCHEMA to the path of a schema.graphql.`);
  process.exit(1);
}

const schema = parse(readFileSync(schemaPath, 'utf8'));
const documents = sources(join(root, 'src')).flatMap(documentsOf);
const sections = await preset.buildGeneratesSection({
  baseOutputDir: out,
  schema,
  schemaAst: buildASTSchema(schema),
  documents,
  config: {
    useTypeImports: true,
    enumsAsTypes: true,
    scalars: { ID: 'string', DateTime: 'string', JSON: 'unknown' },
  },
  presetConfig: { fragmentMasking: { unmaskFunctionName: 'readFragment' } },
  plugins: [],
  pluginMap: {},
  pluginContext: {},
});

rmSync(out, { recursive: true, force: true });
for (const section of sections) {
  const content = await codegen({ ...section, cache: undefined });
  mkdirSync(dirname(section.filename), { recursive: true });
  writeFileSync(section.filename, content);
}
console.log(`codegen: ${documents.length} documents, ${sections.length} files`);

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return path === join(root, 'src/lib/graphql/gen') ? [] : sources(path);
    return /\.tsx?$/.test(entry.name) && !/\.test\.tsx?$/.test(entry.name) ? [path] : [];
  });
}

function documentsOf(path) {
  const text = readFileSync(path, 'utf8');
  if (!text.includes('graphql(')) return [];
  const found = gqlPluckFromCodeStringSync(path, text, { globalGqlIdentifierName: ['graphql'], skipIndent: true });
  return found.map(({ body }) => ({ location: path, rawSDL: body, document: parse(body) }));
}
