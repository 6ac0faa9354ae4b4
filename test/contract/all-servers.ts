/**
 * `npm run test:servers`: the test of published servers with all twelve of them, and what they weigh.
 *
 * Installs the five that are no development dependencies into a temporary directory (no script of theirs runs), runs
 * `gateway-real-servers.test.ts` over all, and then starts the bundle before them once more to print the number of
 * tools, the size of the list, the time from start to the whole list, and the memory of mcproxy alone. Needs the npm
 * registry; removes what it made.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { residentMegabytesOf } from '../bench/proc.ts';
import { openSession } from '../support/message-app.ts';
import { digestOf } from '../support/proxied-app.ts';
import { extraServers, installExtraServers, localServers, type RealServer } from '../support/real-servers.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { tokenOf } from '../support/users.ts';
import { waitFor } from '../support/wait.ts';

const TEST = fileURLToPath(new URL('gateway-real-servers.test.ts', import.meta.url));
const START_MS_MAX = 60_000;

const hooks: (() => void | Promise<void>)[] = [];
const cleanup = { after: (hook: () => void | Promise<void>): void => void hooks.push(hook) };
try {
  await main();
} finally {
  // In reverse, so that nobody writes into a directory that is removed.
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const hook of hooks.toReversed()) await hook();
}

async function main(): Promise<void> {
  const prefix = makeTempDir(cleanup);
  installExtraServers(prefix);
  const dir = makeTempDir(cleanup);
  const servers = [...localServers(dir), ...extraServers(prefix, dir)];
  await printFigures(servers);
  const test = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), '--test', TEST], {
    env: { ...process.env, MCPROXY_TEST_SERVERS: prefix },
    stdio: 'inherit',
  });
  const [code] = (await once(test, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
}

async function printFigures(servers: readonly RealServer[]): Promise<void> {
  const startMs = performance.now();
  const app = await startApp(cleanup, { files: filesFor(servers), program: 'bundle' });
  const session = await openSession(app.url, 'alice');
  const { tools, bytes } = await waitFor(
    async () => {
      const { response } = await session.ask('tools/list');
      const listed = (response['result']?.tools ?? []) as { name: string }[];
      const whole = servers.every(({ name }) => listed.some((tool) => tool.name.startsWith(`${name}__`)));
      return whole ? { tools: listed.length, bytes: Buffer.byteLength(JSON.stringify(listed)) } : undefined;
    },
    { deadlineMs: START_MS_MAX, what: 'the tools of all servers' },
  ).then((found) => found ?? { tools: 0, bytes: 0 });
  const ms = performance.now() - startMs;
  const megabytes = residentMegabytesOf(app.pid);
  console.log(
    `${servers.length} servers, ${tools} tools, ${bytes} bytes of definitions; ` +
      `${ms.toFixed(0)} ms from start to the whole list; mcproxy alone ${megabytes.toFixed(1)} MB resident`,
  );
  await app.stop();
}

function filesFor(servers: readonly RealServer[]): Record<string, string> {
  const settings = { listen: '127.0.0.1:0', log: { file: 'access.log' }, admin: { socket: 'admin.sock' } };
  const commands = Object.fromEntries(servers.map(({ name, command, args, env }) => [name, { command, args, env }]));
  const users = { alice: { token: digestOf(tokenOf('alice')), servers: '*' } };
  return {
    'mcproxy.yml': JSON.stringify({ ...settings, servers: commands }),
    'tokens.yml': JSON.stringify({ users }),
  };
}
