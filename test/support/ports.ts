/**
 * Ports that have to be known before somebody listens on them. Servers under test take port 0 instead, where they can.
 *
 * They are below those that the system gives out, so that no test that listens on port 0 is given one that was found here
 * and is not yet in use: a client that met that listener would wait for it in vain.
 */
import { randomInt } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';

const PORT_MIN = 10_000;
/** Where the system's own begin on Linux, unless it says something else. */
const EPHEMERAL_PORT_MIN = 32_768;

/** A port on which nobody listens, at any address of this machine. */
export async function findClosedPort(): Promise<number> {
  const end = ephemeralPortMin();
  for (;;) {
    const port = randomInt(PORT_MIN, end);
    // oxlint-disable-next-line no-await-in-loop -- the next only when this one is taken
    if (await isFree(port)) return port;
  }
}

function ephemeralPortMin(): number {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    return Math.max(PORT_MIN + 1_000, Number(text.trim().split(/\s+/)[0]));
  } catch {
    return EPHEMERAL_PORT_MIN;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => void server.close(() => resolve(true)));
  });
}

/** Whether it is this process that listens on the port. Linux only; elsewhere it is taken for granted. */
export function isListener(pid: number, port: number): boolean {
  let tables: string[];
  try {
    tables = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8').split('\n'));
  } catch {
    return process.platform !== 'linux';
  }
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const sockets = tables
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) === true && fields[3] === LISTEN)
    .map((fields) => `socket:[${fields[9] ?? ''}]`);
  return readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.includes(targetOf(`/proc/${pid}/fd/${fd}`)));
}

/** The state in those tables. */
const LISTEN = '0A';

/** Empty for a descriptor that was closed meanwhile. */
function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
