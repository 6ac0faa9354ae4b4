/**
 * Debian's HAProxy and nginx as processes, on the configurations in `packaging/` with nothing changed but addresses,
 * places of files, and what a test asks for.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { send } from './http-client.ts';
import { findClosedPort } from './ports.ts';
import { makeTempDir, writeFiles, type Cleanup } from './temp-dir.ts';
import { waitFor } from './wait.ts';

/** What stands in a shipped file, and what instead. */
export type Piece = readonly [from: string, to: string];

const PACKAGING = fileURLToPath(new URL('../../packaging/', import.meta.url));
const ADDRESSES = ['10.0.0.11', '10.0.0.12', '10.0.0.13'] as const;
const NAMES = ['one', 'two', 'three'] as const;
const PROGRAMS = { haproxy: '/usr/sbin/haproxy', nginx: '/usr/sbin/nginx' } as const;

export type BalancerKind = keyof typeof PROGRAMS;

export interface Balancer {
  readonly url: string;
  /** Resolves when it takes exactly these instances for usable, by their place; HAProxy only. */
  untilUp(wanted: readonly number[]): Promise<void>;
}

/** Why a test of it cannot run here; undefined when it can. @throws {Error} where it only has to be installed */
export function missing(kind: BalancerKind): string | undefined {
  if (existsSync(PROGRAMS[kind])) return undefined;
  if (process.getuid?.() === 0) throw new Error(`run: apt-get install --no-install-recommends ${kind}`);
  return `${kind} is not installed, and only root could`;
}

/** A configuration of `packaging/`, changed piece by piece. @throws {Error} when a piece is not there */
export function shipped(file: string, pieces: readonly Piece[]): string {
  return pieces.reduce(
    (content, [from, to]) => {
      if (!content.includes(from)) throw new Error(`packaging/${file} has no ${from}`);
      return content.replaceAll(from, to);
    },
    readFileSync(PACKAGING + file, 'utf8'),
  );
}

export interface BalancerOptions {
  /** Of the three instances. */
  readonly ports: readonly number[];
  /** Further changes. */
  readonly pieces?: readonly Piece[];
}

function addresses(ports: readonly number[]): Piece[] {
  return ADDRESSES.map((address, index) => [`${address}:3000`, `127.0.0.1:${ports[index]}`]);
}

export async function startHaproxy(cleanup: Cleanup, { ports, pieces = [] }: BalancerOptions): Promise<Balancer> {
  const dir = makeTempDir(cleanup);
  const port = await findClosedPort();
  const socket = join(dir, 'admin.sock');
  const own: Piece[] = [
    ['/run/haproxy/admin.sock', socket],
    ['bind :8080', `bind 127.0.0.1:${port}`],
    // Checks so often that the test does not wait long.
    ['inter 1s', 'inter 200ms'],
    ...addresses(ports),
  ];
  writeFiles(dir, { 'haproxy.cfg': shipped('haproxy.cfg', [...own, ...pieces]) });
  launch(cleanup, PROGRAMS.haproxy, ['-db', '-f', join(dir, 'haproxy.cfg')]);
  const balancer: Balancer = {
    url: `http://127.0.0.1:${port}`,
    async untilUp(wanted) {
      const up = NAMES.filter((_, index) => wanted.includes(index));
      const isSo = async (): Promise<boolean> => String(await usable(socket)) === String(up);
      await waitFor(isSo, { deadlineMs: 20_000, what: `HAProxy to use ${up.join(', ')}` });
    },
  };
  await balancer.untilUp(ports.map((_, index) => index));
  return balancer;
}

/** Names of the servers that are up, by the checks of HAProxy. */
async function usable(path: string): Promise<string[]> {
  const socket = connect(path);
  socket.end('show stat\n');
  const rows = (await text(socket)).split('\n').map((row) => row.split(','));
  const column = rows[0]?.indexOf('status') ?? -1;
  // "UP 1/2" is going down, "no check" never comes up.
  const isUp = (row: readonly string[]): boolean => row[0] === 'instances' && row[column] === 'UP';
  return rows
    .filter(isUp)
    .map((row) => row[1] ?? '')
    .filter((name) => name !== 'BACKEND');
}

export async function startNginx(cleanup: Cleanup, { ports, pieces = [] }: BalancerOptions): Promise<Balancer> {
  const dir = makeTempDir(cleanup);
  const port = await findClosedPort();
  const own: Piece[] = [
    ['/run/nginx.pid', join(dir, 'nginx.pid')],
    ['/var/log/nginx/', `${dir}/`],
    ['listen 8080', `listen 127.0.0.1:${port}`],
    ...addresses(ports),
  ];
  writeFiles(dir, { 'nginx.conf': shipped('nginx.conf', [...own, ...pieces]) });
  launch(cleanup, PROGRAMS.nginx, ['-c', join(dir, 'nginx.conf'), '-g', 'daemon off;']);
  const url = `http://127.0.0.1:${port}`;
  await waitFor(async () => (await send(`${url}/healthz`)).status === 200, { deadlineMs: 20_000, what: 'nginx' });
  return { url, untilUp: () => Promise.reject(new Error('nginx asks no instance')) };
}

function launch(cleanup: Cleanup, program: string, args: readonly string[]): number {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  child.once('exit', (code) => code === 0 || code === null || process.stderr.write(`${program}: ${said}\n`));
  cleanup.after(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  return child.pid ?? 0;
}
