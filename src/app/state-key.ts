/**
 * The key that seals sessions and other handles, kept in the state directory so that a restart continues them.
 *
 * `STATE_DIRECTORY` is what systemd gives a service (systemd.exec(5)), `XDG_STATE_HOME` what a desktop does. Without
 * either the key lives as long as the process. A file that others can read is not used: whoever has the key can
 * make handles, though still not open a door without a token.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY_BYTES = 32;
const KEY_NAME = 'seal.key';

export interface StateKey {
  readonly key: Uint8Array;
  /** Why it will not survive the process; undefined when it will. */
  readonly trouble: string | undefined;
}

/** Reads the key, or makes one. Never fails: without a file the key is the process's own. */
export function loadStateKey(env: Readonly<Record<string, string | undefined>>): StateKey {
  const directory = stateDirectory(env);
  if (directory === undefined) {
    return { key: randomBytes(KEY_BYTES), trouble: 'there is no state directory (STATE_DIRECTORY, XDG_STATE_HOME)' };
  }
  const path = join(directory, KEY_NAME);
  try {
    return { key: readKey(path) ?? makeKey(directory, path), trouble: undefined };
  } catch (error) {
    return { key: randomBytes(KEY_BYTES), trouble: `${path}: ${(error as Error).message}` };
  }
}

/** Where what outlives the process is kept; undefined when there is no such place. */
export function stateDirectory(env: Readonly<Record<string, string | undefined>>): string | undefined {
  // systemd gives several directories separated by colons; the first is ours.
  const [own] = (env['STATE_DIRECTORY'] ?? '').split(':');
  if (own !== undefined && own !== '') return own;
  const home = env['XDG_STATE_HOME'];
  return home === undefined || home === '' ? undefined : join(home, 'mcproxy');
}

function readKey(path: string): Uint8Array | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if ((found.mode & 0o077) !== 0) throw new Error(`others can read it; run: chmod 600 ${path}`);
  const key = readFileSync(path);
  if (key.length !== KEY_BYTES)
    throw new Error(`it does not hold ${KEY_BYTES} bytes; remove it to have a new one made`);
  return key;
}

function makeKey(directory: string, path: string): Uint8Array {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const key = randomBytes(KEY_BYTES);
  writeFileSync(path, key, { mode: 0o600, flag: 'wx' });
  return key;
}
