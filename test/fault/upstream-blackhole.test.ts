/**
 * Servers to which no connection comes about: packets that nobody answers, and a TLS handshake that nobody joins.
 *
 * The first is a listening socket whose process stands still and whose queue is full: the kernel then drops what
 * comes, as a firewall would.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import { errorOf, startProxied } from '../support/proxied-app.ts';
import { startRawUpstream } from '../support/raw-upstream.ts';
import { verifies } from '../support/verifies.ts';

const CONNECT_MS = 300;
const FIRST_BYTE_MS = 1_000;

const SCRIPT = `require('net').createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, function () {
  console.log(this.address().port);
})`;

/** The port of a listening socket to which nobody can connect any more. */
async function openBlackhole(): Promise<number> {
  const child = spawn(process.execPath, ['-e', SCRIPT], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  // The queue has room for two; once these stand, the others and all that come later wait in vain.
  await Promise.all([once(fillers[0] ?? child, 'connect'), once(fillers[1] ?? child, 'connect')]);
  after(async () => {
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return port;
}

const silent = await startRawUpstream({ after }, {});
const timeouts = `timeouts: { connect: ${CONNECT_MS}ms, first_byte: ${FIRST_BYTE_MS}ms }`;
const servers = {
  dropped: `{ url: "http://127.0.0.1:${await openBlackhole()}/mcp", retries: 1, ${timeouts} }`,
  handshake: `{ url: "https://127.0.0.1:${silent.port}/mcp", retries: 1, ${timeouts} }`,
  patient: `{ url: "https://127.0.0.1:${silent.port}/mcp", timeouts: { connect: 30s, first_byte: ${FIRST_BYTE_MS}ms } }`,
  stubborn: `{ url: "https://127.0.0.1:${silent.port}/mcp", retries: 10, ${timeouts} }`,
};
const proxied = await startProxied({ after }, { servers });
after(() => checkNothingLeft());

for (const server of ['dropped', 'handshake']) {
  verifies(
    ['retries.timeout-connect', 'retries.unreachable'],
    `'${server}': each attempt ends after the connect timeout`,
    async () => {
      const { answer, entry } = await proxied.call(server, 'tools/call');
      assert.equal(answer.status, 502);
      assert.match(
        errorOf(answer).message,
        new RegExp(`server ${server} cannot be reached: no connection within 300 ms`),
      );
      assert.equal(entry['error_code'], 'UPSTREAM_UNREACHABLE');
      // The second attempt may have no room within the deadline on a busy machine.
      assert.equal(entry['attempts'], 2);
      const latencyMs = Number(entry['latency_ms']);
      assert.ok(latencyMs >= 2 * CONNECT_MS - 10 && latencyMs < FIRST_BYTE_MS + 500, `${latencyMs} ms`);
    },
  );
}

for (const server of ['patient', 'stubborn']) {
  verifies(
    ['retries.deadline', 'retries.unreachable'],
    `'${server}': connecting ends with the deadline of the first byte`,
    async () => {
      const { answer, entry } = await proxied.call(server, 'tools/list');
      assert.equal(answer.status, 502);
      assert.match(errorOf(answer).message, /no connection within \d+ ms/);
      const latencyMs = Number(entry['latency_ms']);
      assert.ok(latencyMs < FIRST_BYTE_MS + 500, `${latencyMs} ms`);
      if (server === 'patient') assert.equal(entry['attempts'], 1);
    },
  );
}
