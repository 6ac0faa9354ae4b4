/**
 * Stands for mcproxy where mcproxy is to be killed: starts each script of its arguments as a stdio child.
 *
 * Prints one line of JSON with the ids of the children when all have said something, then waits for its end.
 */
import { once } from 'node:events';
import { spawnChild } from '../../src/upstream/child.ts';
import { stdioServer } from '../support/stdio-server.ts';

const children = await Promise.all(
  process.argv.slice(2).map(async (script) => {
    const child = await spawnChild({ server: stdioServer(script), ambientEnv: process.env, onStderr: () => undefined });
    child.stdin.write('{"jsonrpc":"2.0","id":1,"method":"hello"}\n');
    await once(child.stdout, 'data');
    return child.pid;
  }),
);
process.stdout.write(`${JSON.stringify(children)}\n`);
