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

verifies('contract.inspector-streamable', 'the inspector lists and calls tools over Streamable HTTP', () =>
  assertUsable([`${app.url}/http/mcp`, '--transport', 'http']),
);

verifies('contract.inspector-sse', 'the inspector lists and calls tools over HTTP+SSE', () =>
  assertUsable([`${app.url}/events/sse`, '--transport', 'sse']),
);

verifies(
  ['contract.inspector-streamable', 'identity.unknown-401'],
  'a wrong token is refused over Streamable HTTP',
  () => assertRefused([`${app.url}/http/mcp`, '--transport', 'http']),
);

verifies(['contract.inspector-sse', 'identity.unknown-401'], 'a wrong token is refused over HTTP+SSE', () =>
  assertRefused([`${app.url}/events/sse`, '--transport', 'sse']),
);

async function assertUsable(target: readonly string[]): Promise<void> {
  const listed = await inspect([...target, '--method', 'tools/list']);
  assert.equal(listed.exitCode, 0, listed.stderr);
  const { tools } = JSON.parse(listed.stdout) as { tools: { name: string }[] };
  assert.ok(
    tools.some(({ name }) => name === 'echo'),
    listed.stdout,
  );

  const called = await inspect([
    ...target,
    '--method',
    'tools/call',
    '--tool-name',
    'echo',
    '--tool-arg',
    'message=hi',
  ]);
  assert.equal(called.exitCode, 0, called.stderr);
  assert.match(called.stdout, /Echo: hi/);
}

async function assertRefused(target: readonly string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await inspect([...target, '--method', 'tools/list'], 'wrong');
  assert.equal(exitCode, EXIT_UNAUTHORIZED, `${stdout}\n${stderr}`);
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
