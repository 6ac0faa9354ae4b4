/**
 * Which requests of 2026-07-28 are served at `/mcp` of a real mcproxy and which are refused, case by case as
 * `protocol-cases.ts` numbers them. What a request then does is in `protocol-modern.test.ts`.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { RequirementId } from '../requirements.ts';
import { BOTH, modernBody, modernHeaders, type Json } from '../support/downstream-clients.ts';
import { send, sendRaw } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, settingsFile, usersFile } from '../support/message-app.ts';
import { messageOf, modernClient, type Headers } from '../support/modern-client.ts';
import { startModernUpstream } from '../support/modern-upstream.ts';
import { startApp } from '../support/start-app.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';

const first = await startModernUpstream({ after });
const app = await startApp(
  { after },
  {
    files: {
      'mcproxy.yml': settingsFile({ who: command('tells-who.mjs', 'who'), first: `{ url: "${first.url}" }` }),
      'tokens.yml': usersFile({ alice: '"*"' }),
    },
  },
);
// Hooks run in the order of their registration.
after(() => checkNothingLeft());

const MCP = `${app.url}/mcp`;
const AUTHORIZED = { authorization: `Bearer ${tokenOf('alice')}` };
const MIRRORED = 'first__mirrored';
const { post, ask } = modernClient(MCP, 'alice');

function withMeta(method: string, meta: Json | undefined, params: Json = {}): Json {
  return { jsonrpc: '2.0', id: 'c-1', method, params: meta === undefined ? params : { ...params, _meta: meta } };
}

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const GOOD_META = { [VERSION]: '2026-07-28', [CAPABILITIES]: {} };
const LIST = modernHeaders('tools/list');
const WORK = { name: 'who__work', arguments: { text: 'x' } };
const CALL = modernHeaders('tools/call', 'who__work');
const without = (headers: Headers, name: string): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));

interface Refused {
  readonly id: RequirementId;
  readonly name: string;
  readonly body: unknown;
  readonly headers: Headers;
  readonly status: number;
  readonly code: number;
}

const REMOVED = [
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
  'tasks/result',
];
const REFUSED: readonly Refused[] = [
  {
    id: 'protocol.case-02',
    name: 'no _meta at all',
    body: withMeta('tools/list', undefined),
    headers: LIST,
    status: 400,
    code: -32602,
  },
  {
    id: 'protocol.case-03',
    name: 'no protocol version in the envelope',
    body: withMeta('tools/list', { [CAPABILITIES]: {} }),
    headers: LIST,
    status: 400,
    code: -32602,
  },
  {
    id: 'protocol.case-04',
    name: 'no client capabilities in the envelope',
    body: withMeta('tools/list', { [VERSION]: '2026-07-28' }),
    headers: LIST,
    status: 400,
    code: -32602,
  },
  {
    id: 'protocol.case-06',
    name: 'a header of 2026-07-28 over an envelope of v999',
    body: withMeta('tools/list', { ...GOOD_META, [VERSION]: 'v999' }),
    headers: LIST,
    status: 400,
    code: -32020,
  },
  {
    id: 'protocol.case-07',
    name: 'header and envelope of v999',
    body: withMeta('tools/list', { ...GOOD_META, [VERSION]: 'v999' }),
    headers: { ...LIST, 'mcp-protocol-version': 'v999' },
    status: 400,
    code: -32022,
  },
  {
    id: 'protocol.case-08',
    name: 'no version header',
    body: withMeta('tools/list', GOOD_META),
    headers: without(LIST, 'mcp-protocol-version'),
    status: 400,
    code: -32020,
  },
  {
    id: 'protocol.case-09',
    name: 'no Mcp-Method',
    body: withMeta('tools/list', GOOD_META),
    headers: without(LIST, 'mcp-method'),
    status: 400,
    code: -32020,
  },
  {
    id: 'protocol.case-09',
    name: 'Mcp-Method in capitals',
    body: withMeta('tools/list', GOOD_META),
    headers: { ...LIST, 'mcp-method': 'TOOLS/LIST' },
    status: 400,
    code: -32020,
  },
  {
    id: 'protocol.case-11',
    name: 'no Mcp-Name',
    body: withMeta('tools/call', GOOD_META, WORK),
    headers: without(CALL, 'mcp-name'),
    status: 400,
    code: -32020,
  },
  {
    id: 'protocol.case-11',
    name: 'another Mcp-Name',
    body: withMeta('tools/call', GOOD_META, WORK),
    headers: { ...CALL, 'mcp-name': 'who__crash' },
    status: 400,
    code: -32020,
  },
  {
    id: 'protocol.case-13',
    name: 'Mcp-Name with bad padding',
    body: withMeta('tools/call', GOOD_META, WORK),
    headers: { ...CALL, 'mcp-name': `=?base64?${Buffer.from('who__work').toString('base64')}=?=` },
    status: 400,
    code: -32020,
  },
  {
    id: 'protocol.case-13',
    name: 'Mcp-Name with a marker in capitals',
    body: withMeta('tools/call', GOOD_META, WORK),
    headers: { ...CALL, 'mcp-name': `=?BASE64?${Buffer.from('who__work').toString('base64')}?=` },
    status: 400,
    code: -32020,
  },
  ...REMOVED.map((method) => ({
    id: 'protocol.case-19' as const,
    name: `the removed method ${method}`,
    body: withMeta(method, GOOD_META),
    headers: modernHeaders(method),
    status: 404,
    code: -32601,
  })),
  {
    id: 'protocol.case-20',
    name: 'a method that never was',
    body: withMeta('acme/do', GOOD_META),
    headers: modernHeaders('acme/do'),
    status: 404,
    code: -32601,
  },
  {
    id: 'protocol.case-30',
    name: 'an unknown log level',
    body: withMeta('tools/list', { ...GOOD_META, 'io.modelcontextprotocol/logLevel': 'bogus' }),
    headers: LIST,
    status: 400,
    code: -32602,
  },
];

for (const { id, name, body, headers, status, code } of REFUSED) {
  verifies(id, `${name} is ${status} with ${code} and the id of the request`, async () => {
    const answer = await post(body, headers);
    assert.equal(answer.status, status);
    const message = answer.json() as Json;
    assert.equal(message['error'].code, code, answer.text());
    assert.equal(message['id'], 'c-1');
    if (code !== -32022) return;
    assert.equal(message['error'].data.requested, 'v999');
    assert.deepEqual(message['error'].data.supported, ['2026-07-28']);
  });
}

interface Served {
  readonly id: RequirementId;
  readonly name: string;
  readonly headers: Headers;
}

const SERVED: readonly Served[] = [
  { id: 'protocol.case-05', name: 'no clientInfo', headers: CALL },
  {
    id: 'protocol.case-10',
    name: 'header names in other cases',
    headers: {
      accept: BOTH,
      'MCP-PROTOCOL-VERSION': '2026-07-28',
      'mcp-Method': 'tools/call',
      'MCP-NAME': 'who__work',
    },
  },
  { id: 'protocol.case-12', name: 'blanks around Mcp-Name', headers: { ...CALL, 'mcp-name': '  who__work  ' } },
  {
    id: 'protocol.case-13',
    name: 'an encoded Mcp-Name',
    headers: { ...CALL, 'mcp-name': `=?base64?${Buffer.from('who__work').toString('base64')}?=` },
  },
  { id: 'protocol.case-18', name: 'an Mcp-Param of nobody', headers: { ...CALL, 'mcp-param-foo': 'bar' } },
  {
    id: 'protocol.case-23',
    name: 'a session id and an event id',
    headers: { ...CALL, 'mcp-session-id': 'gone', 'last-event-id': '7' },
  },
  { id: 'protocol.case-24', name: 'no Origin', headers: CALL },
];

for (const { id, name, headers } of SERVED) {
  verifies(id, `a request with ${name} is served`, async () => {
    const answer = await post(withMeta('tools/call', GOOD_META, WORK), headers);
    assert.equal(answer.status, 200, answer.text());
    const message = messageOf(answer);
    assert.match(message['result'].content[0].text, /"server":"who"/);
    assert.equal(answer.header('mcp-session-id'), undefined);
  });
}

verifies('protocol.case-14', 'Mcp-Name sent twice is refused and reaches no server', async () => {
  const before = first.asked('tools/call').length;
  const name = 'first__mirrored';
  const body = JSON.stringify(modernBody('tools/call', { name, arguments: {} }));
  const fields = { ...AUTHORIZED, ...modernHeaders('tools/call', name), 'content-type': 'application/json' };
  const answer = await send(MCP, {
    headers: [...Object.entries(fields).flat(), 'Mcp-Name', name, 'Content-Length', String(Buffer.byteLength(body))],
    body,
  });
  assert.equal(answer.status, 400);
  assert.equal((answer.json() as Json)['error'].code, -32020);
  assert.equal(first.asked('tools/call').length, before);
});

verifies('protocol.case-21', 'a batch and a response are 400 with -32600', async () => {
  const response = { jsonrpc: '2.0', id: 1, result: {} };
  for (const body of [[modernBody('tools/list')], response]) {
    // oxlint-disable-next-line no-await-in-loop
    const answer = await post(body, LIST);
    assert.equal(answer.status, 400);
    assert.equal((answer.json() as Json)['error'].code, -32600);
  }
});

verifies('protocol.case-22', 'GET and DELETE of a modern client are 405', async () => {
  const headers = { ...AUTHORIZED, accept: 'text/event-stream', 'mcp-protocol-version': '2026-07-28' };
  for (const method of ['GET', 'DELETE']) {
    // oxlint-disable-next-line no-await-in-loop
    assert.equal((await send(MCP, { method, headers })).status, 405);
  }
});

for (const origin of ['http://evil.example', 'null']) {
  verifies('protocol.case-24', `the Origin ${origin} is 403 and reaches no server`, async () => {
    const before = first.asked('tools/call').length;
    const headers = { ...modernHeaders('tools/call', MIRRORED), origin };
    const answer = await post(modernBody('tools/call', { name: MIRRORED, arguments: {} }), headers);
    assert.equal(answer.status, 403);
    assert.equal(first.asked('tools/call').length, before);
  });
}

verifies('protocol.case-25', 'a foreign Host on loopback is refused', async () => {
  const head = `POST /mcp HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${tokenOf('alice')}\r\n`;
  const said = await sendRaw(`${head}Content-Length: 2\r\nConnection: close\r\n\r\n{}`, { port: app.port });
  assert.match(said, /^HTTP\/1\.1 4\d\d /);
});

for (const id of ['7', 7, 0, '', 'ü-"x"'] as const) {
  verifies('protocol.case-34', `the id ${JSON.stringify(id)} comes back as it was`, async () => {
    assert.strictEqual(messageOf(await ask('tools/list', {}, { id }))['id'], id);
    assert.strictEqual(messageOf(await ask('tools/call', WORK, { id }))['id'], id);
  });
}
