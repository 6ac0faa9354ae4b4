/**
 * What the soak test is about: one mcproxy process before servers that it has to start, lose and find again, and a
 * look at everything that it holds.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { askSocket } from '../../src/app/admin-client.ts';
import { command, settingsFile, usersFile } from '../support/message-app.ts';
import { startEverything } from '../support/peers.ts';
import { startApp, type RunningApp, type StartOptions } from '../support/start-app.ts';
import type { Cleanup } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait.ts';

export const USERS = ['alice', 'bob'] as const;
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const PROBE = fileURLToPath(new URL('probe.mjs', import.meta.url));

/** What mcproxy holds after a garbage collection. */
export interface Held {
  readonly heapMegabytes: number;
  readonly rssMegabytes: number;
  /** Open descriptors. */
  readonly descriptors: number;
  readonly children: number;
  readonly timers: number;
  /** What keeps the event loop alive, by kind. */
  readonly handles: Readonly<Record<string, number>>;
  readonly exchanges: number;
  readonly sessions: number;
  readonly peers: number;
  /** Servers that are starting or wait to be started again. */
  readonly unsettled: number;
  readonly calls: number;
  readonly entries: number;
}

export interface World {
  readonly app: RunningApp;
  readonly url: string;
  /** Saves the configuration, with one more server or without; mcproxy sees it by itself. */
  save(withExtra: boolean): void;
  look(): Promise<Held>;
}

export async function startWorld(cleanup: Cleanup, options: Pick<StartOptions, 'program'> = {}): Promise<World> {
  const everything = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
  const remote = await startEverything(cleanup, 'streamableHttp');
  const servers = {
    good: command('tells-who.mjs', 'good'),
    crashes: command('tells-who.mjs', 'crashes'),
    asks: `{ command: ${process.execPath}, args: [${JSON.stringify(everything)}] }`,
    remote: `{ url: "${remote.url}" }`,
  };
  const settings = (withExtra: boolean): string =>
    settingsFile(
      { ...servers, ...(withExtra ? { extra: command('tells-who.mjs', 'extra') } : {}) },
      'shutdown_grace: 1s\n',
    );
  const files = { 'mcproxy.yml': settings(false), 'tokens.yml': usersFile({ alice: '"*"', bob: '"*"' }) };
  const app = await startApp(cleanup, {
    ...options,
    files,
    env: { MCPROXY_SOAK_PROBE: 'probe.json' },
    nodeArgs: ['--expose-gc', '--import', PROBE],
  });
  const probeFile = join(app.dir, 'probe.json');
  return {
    app,
    url: app.url,
    save: (withExtra) => writeFileSync(join(app.dir, 'mcproxy.yml'), settings(withExtra)),
    look: () => look(app, probeFile),
  };
}

interface Probed {
  readonly count: number;
  readonly heapUsed: number;
  readonly rss: number;
  readonly timers: number;
  readonly handles: Readonly<Record<string, number>>;
}

interface Status {
  readonly open_exchanges: number;
  readonly sessions: number;
  readonly entries: number;
  readonly servers: readonly { readonly state: string; readonly calls: number }[];
}

async function look(app: RunningApp, probeFile: string): Promise<Held> {
  const before = readProbe(probeFile)?.count ?? 0;
  app.signal('SIGUSR2');
  const probed = await waitFor(
    () => {
      const found = readProbe(probeFile);
      return found !== undefined && found.count > before ? found : undefined;
    },
    { deadlineMs: 20_000, what: 'what the process says of itself' },
  );
  const asked = await askSocket(join(app.dir, 'admin.sock'), { method: 'GET', target: '/status' });
  if (probed === undefined || asked.kind !== 'answer') throw new Error('mcproxy does not say what it holds');
  const status = asked.body as Status;
  return {
    heapMegabytes: probed.heapUsed / 1024 / 1024,
    rssMegabytes: probed.rss / 1024 / 1024,
    descriptors: readdirSync(`/proc/${app.pid}/fd`).length,
    children: countChildren(app.pid),
    timers: probed.timers,
    handles: probed.handles,
    exchanges: status.open_exchanges,
    sessions: status.sessions,
    peers: status.servers.filter(({ state }) => state !== 'idle').length,
    unsettled: status.servers.filter(({ state }) => state === 'down' || state === 'starting').length,
    calls: status.servers.reduce((sum, { calls }) => sum + calls, 0),
    entries: status.entries,
  };
}

function readProbe(file: string): Probed | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Probed) : undefined;
}

function countChildren(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const ids = tasks.flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(/\s+/));
  return ids.filter((id) => id !== '').length;
}
