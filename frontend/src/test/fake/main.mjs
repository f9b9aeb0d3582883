// `npm run fake`: serves the built client with the fake server. PORT, SPEED and FAULTS may be set.
import { fileURLToPath } from 'node:url';
import { startFake } from './server.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const fake = await startFake({
  schemaPath: process.env.SCHEMA ?? `${root}../graphql/schema.graphql`,
  dist: `${root}dist`,
  port: Number(process.env.PORT ?? 4600),
  speed: Number(process.env.SPEED ?? 1),
  faults: (process.env.FAULTS ?? '').split(',').filter(Boolean),
});
console.log(fake.signInUrl);
