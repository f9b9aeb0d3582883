// A stand-in for the Daybook server: the schema, GraphQL over HTTP and WebSocket, and a scripted run. For development
// and browser tests only. It keeps its events in memory and can misbehave on demand (drop, repeat and skip frames).
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { buildSchema, graphql } from 'graphql';
import { useServer as serveSockets } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { resolvers } from './resolvers.mjs';
import { World } from './world.mjs';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
};

/** As strict as the client can live with; a violation is a console error, which browser tests refuse. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'";

/** Starts the fake; resolves to its sign-in URL and ways to trouble its clients. */
export async function startFake({ schemaPath, dist, port = 0, speed = 1, faults = [] }) {
  const schema = buildSchema(readFileSync(schemaPath, 'utf8'));
  const union = schema.getType('SessionFrame');
  if (union) union.resolveType = (frame) => frame.__typename;
  const world = new World({ speed, faults: new Set(faults) });
  const rootValue = resolvers(world);

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname === '/signin') return signIn(response, world.token);
    if (url.pathname === '/graphql' && request.method === 'POST') {
      if (!signedIn(request, world.token)) return unauthenticated(response);
      const { query, variables, operationName } = JSON.parse(await body(request));
      const result = await graphql({ schema, rootValue, source: query, variableValues: variables, operationName });
      response.writeHead(200, { 'content-type': 'application/json' });
      return response.end(JSON.stringify(result));
    }
    return file(response, dist, url.pathname);
  });

  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (ws) => {
      if (!signedIn(request, world.token)) return ws.close(4401, 'sign in first');
      sockets.emit('connection', ws, request);
    });
  });
  serveSockets({ schema, roots: { query: rootValue, mutation: rootValue, subscription: rootValue } }, sockets);

  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  const origin = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : port}`;
  return {
    origin,
    world,
    signInUrl: `${origin}/signin?token=${world.token}`,
    dropSockets: () => {
      for (const ws of sockets.clients) ws.terminate();
    },
    stop: () => {
      for (const ws of sockets.clients) ws.terminate();
      server.close();
    },
  };
}

function signIn(response, token) {
  response.writeHead(302, {
    location: '/?demo=1',
    'set-cookie': `daybook=${token}; HttpOnly; SameSite=Strict; Path=/`,
  });
  response.end();
}

function signedIn(request, token) {
  return (request.headers.cookie ?? '').includes(`daybook=${token}`);
}

function unauthenticated(response) {
  response.writeHead(401, { 'content-type': 'application/json' });
  const error = { message: 'sign in first', extensions: { code: 'UNAUTHENTICATED' } };
  response.end(JSON.stringify({ errors: [error] }));
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function file(response, dist, path) {
  const wanted = join(dist, normalize(path));
  const found =
    wanted.startsWith(dist) && extname(wanted) !== '' && existsSync(wanted) ? wanted : join(dist, 'index.html');
  if (!existsSync(found)) {
    response.writeHead(404);
    return response.end('Build the client first: npm run build');
  }
  const type = TYPES[extname(found)] ?? 'application/octet-stream';
  response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY });
  return response.end(readFileSync(found));
}
