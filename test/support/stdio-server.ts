/**
 * The peers of `test/peers/*.mjs` as stdio servers, and a conversation with one that a test can read.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { StdioServerConfig } from '../../src/model.ts';
import type { JsonObject } from '../../src/mcp/waist.ts';
import { spawnChild, type Child } from '../../src/upstream/child.ts';
import { openStdioChannel, type StdioChannel } from '../../src/upstream/stdio-channel.ts';
import { commonSettings } from './server-config.ts';
import type { Cleanup } from './temp-dir.ts';

const PEERS = fileURLToPath(new URL('../peers/', import.meta.url));

/** The configuration of a server that runs a script of `test/peers`. */
export function stdioServer(script: string, changes: Partial<StdioServerConfig> = {}): StdioServerConfig {
  return {
    kind: 'stdio',
    transport: 'stdio',
    ...commonSettings('peer'),
    timeouts: { connectMs: 5_000, firstByteMs: 5_000, idleMs: 5_000 },
    command: process.execPath,
    args: [`${PEERS}${script}`],
    env: [],
    cwd: undefined,
    startMs: 5_000,
    replicas: 1,
    roots: true,
    ...changes,
  };
}

export interface Conversation {
  readonly child: Child;
  readonly channel: StdioChannel;
  readonly messages: JsonObject[];
  /** Errors given to `onClose`. */
  readonly ends: Error[];
  readonly stderr: string[];
  readonly diag: {
    readonly level: string;
    readonly message: string;
    readonly data: Readonly<Record<string, unknown>>;
  }[];
  /** Sends a request. */
  readonly ask: (id: number, method: string, params?: JsonObject) => Promise<void>;
}

/** Starts a server and talks to it; the process is stopped when the test ends. */
export async function converse(cleanup: Cleanup, server: StdioServerConfig): Promise<Conversation> {
  const stderr: string[] = [];
  const messages: JsonObject[] = [];
  const ends: Error[] = [];
  const diag: Conversation['diag'] = [];
  const child = await spawnChild({ server, ambientEnv: process.env, onStderr: (line) => stderr.push(line) });
  cleanup.after(() => child.stop());
  const channel = openStdioChannel(
    child,
    { serverName: server.name, onDiag: (level, message, data) => diag.push({ level, message, data }) },
    {
      onMessage: (message) => messages.push(message),
      onClose: (error) => ends.push(error),
      onLost: () => undefined,
    },
  );
  const ask = (id: number, method: string, params: JsonObject = {}): Promise<void> =>
    channel.send({ jsonrpc: '2.0', id, method, params });
  return { child, channel, messages, ends, stderr, diag, ask };
}

/** Whether a process runs; one that has ended and was not collected by its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}
