import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { NODE_VERSION } from '../../build/node-runtime.ts';
import { commandFor } from '../../build/try-executable.ts';
import { readIdentity } from '../../build/version.ts';
import { send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { listenLocally } from '../support/listening.ts';
import { EXECUTABLE, npmPackage, product, ROOT } from '../support/products.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir, type Cleanup } from '../support/temp-dir.ts';
import { ACCEPT, tokenOf, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

/** What is shipped, as a user runs it: relay and gateway of each program. */
after(() => checkNothingLeft());

const unpacked = makeTempDir({ after });
before(() => void execFileSync('tar', ['-xzf', npmPackage(), '-C', unpacked]));

const TLS = join(ROOT, 'test/peers/tls');
const PEER = join(ROOT, 'test/peers/writes-where-it-may.mjs');
const HOST_NODE = `v${process.versions.node}`;
const PROGRAMS = [
  { name: 'the bundle', command: () => [process.execPath, product('mcproxy.js')], node: HOST_NODE },
  { name: 'the npm package', command: () => [process.execPath, join(unpacked, 'package/mcproxy.js')], node: HOST_NODE },
  { name: 'the executable for x64', command: () => commandFor('x64', EXECUTABLE.x64()), node: `v${NODE_VERSION}` },
  {
    name: 'the executable for arm64',
    command: () => commandFor('arm64', EXECUTABLE.arm64()),
    node: `v${NODE_VERSION}`,
  },
];

for (const { name, command, node } of PROGRAMS) {
  verifies('package.programs', `${name} says which version it is`, () => {
    const [file = '', ...args] = command();
    const { stdout, stderr, status } = spawnSync(file, [...args, 'version', '--json'], { encoding: 'utf8' });
    assert.deepEqual({ stderr, status }, { stderr: '', status: 0 });
    assert.deepEqual(JSON.parse(stdout), { ...readIdentity(ROOT), node });
  });

  verifies('package.programs', `${name} relays to a remote server and speaks for a local one`, async (t) => {
    const upstream = await startUpstream(t, {});
    const peer = JSON.stringify([PEER]);
    const secure = await startSecureServer(t);
    const tokens = [
      tokensFile(['alice'], upstream.url),
      `      local: { command: ${process.execPath}, args: ${peer} }\n`,
      `      secure: { url: "${secure}/mcp", ca_file: "${TLS}/cert.pem" }\n`,
    ].join('');
    const begun = performance.now();
    const app = await startApp(t, { files: { 'tokens.yml': tokens }, program: command() });
    t.diagnostic(`${name}: listening after ${Math.round(performance.now() - begun)} ms; ${memoryOf(app.pid)}`);
    const headers = { accept: ACCEPT, authorization: `Bearer ${tokenOf('alice')}` };
    const ask = (path: string, message: object, further: Record<string, string> = {}): Promise<Answer> =>
      send(`${app.url}${path}`, {
        method: 'POST',
        headers: { ...headers, ...further },
        body: { jsonrpc: '2.0', id: 1, ...message },
      });

    const relayed = await ask('/up/mcp', { method: 'tools/call', params: { name: 'x', arguments: {} } });
    assert.equal(relayed.status, 200, relayed.text());
    assert.equal(upstream.requests.length, 1);

    // Needs a part of Node that is loaded late, which is not the same in every program.
    assert.equal((await ask('/secure/mcp', { method: 'tools/call', params: { name: 'x' } })).text(), SECURE);

    const opened = await ask('/mcp', INITIALIZE);
    assert.equal(opened.status, 200, opened.text());
    const session = { 'mcp-session-id': opened.header('mcp-session-id') ?? '' };
    await waitFor(async () => (await ask('/mcp', { method: 'tools/list' }, session)).text().includes('local__where'), {
      deadlineMs: 15_000,
      what: 'the tool of the local server',
    });
    assert.deepEqual(await app.stop(), { code: 0, signal: null });
    assert.ok(app.entries().length >= 3);
  });
}

const SECURE = '{"jsonrpc":"2.0","id":1,"result":{}}';

/** A server whose certificate is one of the tests' own; resolves with its address. */
async function startSecureServer(cleanup: Cleanup): Promise<string> {
  const files = { key: readFileSync(join(TLS, 'key.pem')), cert: readFileSync(join(TLS, 'cert.pem')) };
  const server = createServer(files, (request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' }).end(SECURE);
  });
  return `https://127.0.0.1:${await listenLocally(cleanup, server)}`;
}

const INITIALIZE = {
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

/** Resident and proportional size; under an emulator those of the emulator. */
function memoryOf(pid: number): string {
  const rss = /^VmRSS:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  const pss = /^Pss:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  return `RSS ${rss}, PSS ${pss}`;
}
