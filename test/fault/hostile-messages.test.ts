/**
 * JSON that parses and cannot be printed again, because it is nested too deeply: from a server and from a client.
 *
 * Each must be refused where it comes in: with an answer, one entry, and no harm to the calls of others on the same
 * server.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkNothingLeft } from '../support/leaks.ts';
import { POST, rpc, startProxied, type Asked } from '../support/proxied-app.ts';
import { verifies } from '../support/verifies.ts';

const DEEP = '['.repeat(20_000) + ']'.repeat(20_000);
const PEER = fileURLToPath(new URL('../peers/nests-deeply.mjs', import.meta.url));

const proxied = await startProxied(
  { after },
  { servers: { deep: `{ command: "${process.execPath}", args: ["${PEER}"] }` } },
);
after(() => checkNothingLeft());

const session = await openSession();

async function openSession(): Promise<string> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 't', version: '1' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const { answer } = await proxied.ask('/deep/mcp', { method: 'POST', body });
  return answer.header('mcp-session-id') ?? assert.fail('no session');
}

function post(body: string): Promise<Asked> {
  return proxied.ask('/deep/mcp', {
    method: 'POST',
    headers: { ...POST, 'mcp-session-id': session },
    body,
    signal: AbortSignal.timeout(20_000),
  });
}

function callOf(name: string, args = '{}'): string {
  return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}","arguments":${args}}}`;
}

for (const name of ['result', 'error']) {
  verifies('log.one-entry-per-exchange', `a ${name} that is nested too deeply is the server's failure`, async () => {
    const { answer, entry } = await post(callOf(name));
    assert.match(answer.text(), /"code":502,"message":"server deep sent a bad answer: [^"]*nested deeper than 512/);
    assert.deepEqual([entry['error_code'], entry['outcome']], ['UPSTREAM_PROTOCOL', 'upstream_error']);
  });
}

for (const name of ['progress', 'question']) {
  verifies('gateway.servers.bad-neighbours', `a ${name} that is nested too deeply ends nobody's call`, async () => {
    const [hostile, other] = await Promise.all([post(callOf(name)), post(callOf('plain').replace('"id":1', '"id":2'))]);
    assert.match(hostile.answer.text(), /"result":\{"content":\[\]\}/);
    assert.match(other.answer.text(), /"result":\{"content":\[\]\}/);
    assert.equal(hostile.entry['outcome'], 'ok');
  });
}

const refused = {
  'arguments of a call': callOf('plain', `{"a":${DEEP}}`),
  'an id': `{"jsonrpc":"2.0","id":${DEEP},"method":"ping"}`,
  'capabilities of a client': rpc('initialize').replace('"params":{}', `"params":{"capabilities":{"a":${DEEP}}}`),
};
for (const [name, body] of Object.entries(refused)) {
  verifies('log.one-entry-per-exchange', `${name} nested too deeply: the request is refused`, async () => {
    const { answer, entry } = await post(body);
    assert.equal(answer.status, 400);
    assert.match(answer.text(), /"code":-32600,"message":"A message may not be nested deeper than 512\."/);
    assert.equal(entry['error_code'], 'RPC_INVALID');
    assert.doesNotMatch(proxied.app.stderr(), /unhandled|uncaught|internal error/);
  });
}
