/**
 * The official inspector's command line, as somebody would type it to try out a server behind mcproxy.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after } from 'node:test';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEverything } from '../support/peers.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const INSPECTOR = join(ROOT, 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js');
const TOKEN = 'contract-inspector-token-0123456789abcdef';
/** The inspector's exit code for a server that wants another login. */
const EXIT_UNAUTHORIZED = 3;
const RUN_MS_MAX = 60_000;

const home = makeTempDir({ after });
const http = await startEverything({ after }, 'streamableHttp');
const events = await startEverything({ after }, 'sse');
const users = { alice: { token: TOKEN, servers: { http: { url: http.url }, events: { url: events.url } } } };
const app = await startApp({ after }, { files: { 'tokens.yml': JSON.stringify({ users }) } });

const TRANSPORTS = [
  { transport: 'http', path: '/http/mcp', id: 'contract.inspector-streamable' },
  { transport: 'sse', path: '/events/sse', id: 'contract.inspector-sse' },
] as const;

for (const { transport, path, id } of TRANSPORTS) {
  verifies(id, `the inspector lists tools over ${transport}`, async () => {
    const { exitCode, stdout, stderr } = await inspect([
      `${app.url}${path}`,
      '--transport',
      transport,
      '--method',
      'tools/list',
    ]);
    assert.equal(exitCode, 0, stderr);
    const { tools } = JSON.parse(stdout) as { tools: { name: string }[] };
    assert.ok(
      tools.some(({ name }) => name === 'echo'),
      stdout,
    );
  });

  verifies(id, `the inspector calls a tool over ${transport}`, async () => {
    const call = ['--method', 'tools/call', '--tool-name', 'echo', '--tool-arg', 'message=hi'];
    const { exitCode, stdout, stderr } = await inspect([`${app.url}${path}`, '--transport', transport, ...call]);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /Echo: hi/);
  });

  verifies(
    [id, 'identity.unknown-401'],
    `the inspector says that a wrong token is refused over ${transport}`,
    async () => {
      const list = ['--transport', transport, '--method', 'tools/list'];
      const { exitCode, stdout, stderr } = await inspect([`${app.url}${path}`, ...list], 'wrong');
      assert.equal(exitCode, EXIT_UNAUTHORIZED, `${stdout}\n${stderr}`);
    },
  );
}

interface Inspection {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the inspector to its end, with a home of its own because it keeps a catalog there. */
function inspect(args: readonly string[], token = TOKEN): Promise<Inspection> {
  const all = [INSPECTOR, '--cli', ...args, '--header', `Authorization: Bearer ${token}`];
  const env = { PATH: process.env['PATH'] ?? '', HOME: home };
  return new Promise((resolve) => {
    execFile(process.execPath, all, { env, cwd: home, timeout: RUN_MS_MAX }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr: stderr || (error?.message ?? '') });
    });
  });
}
