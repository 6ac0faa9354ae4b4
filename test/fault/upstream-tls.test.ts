/**
 * Servers behind TLS: trusted through `ca_file`, not trusted, of another name, and a `ca_file` that is none.
 *
 * `test/peers/tls` holds a key and a certificate for 127.0.0.1 that signed itself and is valid until the end of 2099,
 * and the certificate of somebody else; they protect nothing.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkNothingLeft } from '../support/leaks.ts';
import { digestOf, errorOf, startProxied, TOKEN } from '../support/proxied-app.ts';
import { runCommand } from '../support/start-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

const TLS = fileURLToPath(new URL('../peers/tls/', import.meta.url));
const CA = `${TLS}cert.pem`;
const RESULT = '{"jsonrpc":"2.0","id":1,"result":{}}';

const connections = new Set<unknown>();
const server = createServer({ key: readFileSync(`${TLS}key.pem`), cert: readFileSync(CA) }, (request, response) => {
  connections.add(request.socket);
  request.resume();
  response.writeHead(200, { 'content-type': 'application/json' }).end(RESULT);
});
server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
await once(server, 'listening');
after(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});
const { port } = server.address() as AddressInfo;

const proxied = await startProxied(
  { after },
  {
    servers: {
      trusted: `{ url: "https://127.0.0.1:${port}/mcp", ca_file: "${CA}" }`,
      untrusted: `{ url: "https://127.0.0.1:${port}/mcp", retries: 1 }`,
      renamed: `{ url: "https://localhost:${port}/mcp", ca_file: "${CA}", retries: 1 }`,
      plain: `{ url: "http://127.0.0.1:${port}/mcp" }`,
    },
  },
);
after(() => checkNothingLeft());

test('a server with a private CA is served over one connection', async () => {
  for (const method of ['tools/list', 'tools/call', 'tools/list']) {
    // oxlint-disable-next-line no-await-in-loop
    const { answer, entry } = await proxied.call('trusted', method);
    assert.equal(answer.text(), RESULT);
    assert.equal(entry['attempts'], 1);
  }
  assert.equal(connections.size, 1);
});

const refusals = [
  { name: 'untrusted', code: 'UPSTREAM_UNREACHABLE', attempts: 2, text: /self-signed; name its CA in `ca_file`/ },
  { name: 'renamed', code: 'UPSTREAM_UNREACHABLE', attempts: 2, text: /certificate is for another host name/ },
  {
    name: 'plain',
    code: 'UPSTREAM_CLOSED',
    attempts: 1,
    text: /server plain closed the connection before it answered/,
  },
];
for (const { name, code, attempts, text } of refusals) {
  verifies('retries.unreachable', `a server that is ${name} gets nothing, and the answer says why`, async () => {
    const { answer, entry } = await proxied.call(name, 'tools/call');
    assert.equal(answer.status, 502);
    assert.match(errorOf(answer).message, text);
    assert.equal(entry['error_code'], code);
    assert.equal(entry['attempts'], attempts);
  });
}

const badFiles = [
  { name: 'missing', file: 'missing.pem' },
  { name: 'no certificate', file: 'tokens.yml' },
];
for (const { name, file } of badFiles) {
  test(`a ca_file that is ${name} ends the start with its path and exit 78`, async (t) => {
    const dir = makeTempDir(t);
    const url = `https://127.0.0.1:${port}/mcp`;
    writeFiles(dir, {
      'mcproxy.yml': 'listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\n',
      'tokens.yml': `users:\n  alice: { token: ${digestOf(TOKEN)}, servers: { up: { url: "${url}", ca_file: ${file} } } }\n`,
    });
    const run = await runCommand(['serve', '--config', dir], { dir });
    assert.equal(run.code, 78, run.stderr);
    assert.match(run.stderr, /ca_file/);
    assert.ok(run.stderr.includes(file), run.stderr);
  });
}

verifies('gateway.servers.ca-reload', 'a reload trusts what ca_file holds then', async (t) => {
  const dir = makeTempDir(t);
  const other = readFileSync(`${TLS}other.pem`, 'utf8');
  writeFiles(dir, { 'ca.pem': other });
  const servers = { up: `{ url: "https://127.0.0.1:${port}/mcp", ca_file: "${dir}/ca.pem", retries: 0 }` };
  const changing = await startProxied(t, { servers });
  const refused = await changing.call('up', 'tools/call');
  assert.equal(refused.answer.status, 502);

  writeFiles(dir, { 'ca.pem': readFileSync(CA, 'utf8') });
  assert.equal((await runCommand(['reload', '--config', changing.app.dir])).code, 0);
  assert.equal((await changing.call('up', 'tools/call')).answer.status, 200);

  writeFiles(dir, { 'ca.pem': other });
  assert.equal((await runCommand(['reload', '--config', changing.app.dir])).code, 0);
  assert.equal((await changing.call('up', 'tools/call')).answer.status, 502, 'a connection that is open is not used');
});

verifies('gateway.servers.ca-reload', 'a ca_file that is gone with what named it stops no reload', async (t) => {
  const dir = makeTempDir(t);
  writeFiles(dir, { 'ca.pem': readFileSync(CA, 'utf8') });
  const url = `https://127.0.0.1:${port}/mcp`;
  const proxiedHere = await startProxied(t, {
    servers: { up: `{ url: "${url}", ca_file: "${dir}/ca.pem" }`, other: `{ url: "${url}", ca_file: "${CA}" }` },
  });
  rmSync(`${dir}/ca.pem`);
  writeFiles(proxiedHere.app.dir, {
    'tokens.yml': `users:\n  alice: { token: ${digestOf(TOKEN)}, servers: { other: { url: "${url}", ca_file: "${CA}" } } }\n`,
  });
  const { code, stderr } = await runCommand(['reload', '--config', proxiedHere.app.dir], { dir: proxiedHere.app.dir });
  assert.equal(code, 0, stderr);
  assert.equal((await proxiedHere.call('other', 'tools/list')).answer.text(), RESULT);
});
