import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainExposure } from '../../src/config/exposure.ts';
import { choosePath, findRoute, METHODS } from '../../src/app/routes.ts';
import type { ServerConfig } from '../../src/model.ts';
import { httpServer, stdioServer } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';

const NAME = 'x'.repeat(32);
const servers = [
  { path: '/a/mcp', serverName: 'a', part: 'mcp' },
  { path: '/A_b-9/sse', serverName: 'A_b-9', part: 'sse' },
  { path: '/__proto__/messages', serverName: '__proto__', part: 'messages' },
  { path: `/${NAME}/mcp`, serverName: NAME, part: 'mcp' },
] as const;
for (const { path, serverName, part } of servers) {
  test(`${path} leads to the ${part} of ${serverName}`, () => {
    const route = findRoute(path);
    assert.ok(route.kind === 'server');
    assert.equal(route.serverName, serverName);
    assert.equal(route.part, part);
  });
}

for (const path of ['/healthz', '/readyz', '/health'] as const) {
  test(`${path} leads to itself`, () => assert.deepEqual(findRoute(path), { kind: 'health', path }));
}

const unknown = ['/a', '/a/', '/a/mcp/b', '/a/MCP', '/a.b/mcp', `/${NAME}x/mcp`, '//mcp', '/healthz/', '/Healthz', ''];
for (const path of unknown) {
  test(`'${path}' leads nowhere`, () => assert.deepEqual(findRoute(path), { kind: 'unknown' }));
}

test('each part has the methods of its transport', () => {
  assert.deepEqual(METHODS, { mcp: ['POST', 'GET', 'DELETE'], sse: ['GET'], messages: ['POST'] });
});

const remote = (changes: object): ServerConfig => ({ ...httpServer('up'), ...changes });
const passthrough = { credential: { type: 'passthrough' } };
const choices = [
  { title: 'a command', server: stdioServer('up'), paths: ['messages', 'messages', 'messages'] },
  { title: 'a remote server', server: remote({}), paths: ['ask', 'ask', 'ask'] },
  { title: 'Streamable HTTP', server: remote({ transport: 'streamable' }), paths: ['ask', 'messages', 'messages'] },
  {
    title: 'a server with replicas',
    server: remote({ otherUrls: ['https://b.example/mcp'] }),
    paths: ['messages', 'messages', 'messages'],
  },
  {
    title: 'Streamable HTTP with another prefix',
    server: remote({ transport: 'streamable', exposure: { ...plainExposure('up'), prefix: '' } }),
    paths: ['ask', 'messages', 'messages'],
  },
  {
    title: 'HTTP+SSE of which some is hidden',
    server: remote({ transport: 'sse', exposure: { ...plainExposure('up'), prompts: { allow: [], deny: [] } } }),
    paths: ['messages', 'messages', 'messages'],
  },
  { title: 'HTTP+SSE', server: remote({ transport: 'sse' }), paths: ['messages', 'relay', 'relay'] },
  {
    title: 'HTTP+SSE with passthrough',
    server: remote({ transport: 'sse', ...passthrough }),
    paths: ['relay', 'relay', 'relay'],
  },
];
for (const { title, server, paths } of choices) {
  verifies('gateway.servers.path', `${title} is reached by ${paths.join(', ')} at mcp, sse, messages`, () => {
    assert.deepEqual(
      (['mcp', 'sse', 'messages'] as const).map((part) =>
        choosePath(server, part, { fallsBack: false, looksInside: false }),
      ),
      paths,
    );
  });
}
