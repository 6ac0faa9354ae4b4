import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import fc from 'fast-check';

import { startApp, type App } from '../../src/app/app.ts';
import { loadConfig } from '../../src/app/load.ts';
import { openDiag } from '../../src/log/diag.ts';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { readEntries } from '../support/start-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { call, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

const USERS = ['alice', 'bob', 'carol'];

/** What an operator may save; `port` is an index of a few addresses, of which the last is taken. */
interface Saved {
  readonly users: readonly string[];
  readonly log: 'one.log' | 'two.log' | 'directory';
  readonly port: 0 | 1 | 2 | 3;
  readonly broken: boolean;
  readonly dryRun: boolean;
  /** Does not wait for this reload before the next one. */
  readonly hasty: boolean;
}

const SAVED: fc.Arbitrary<Saved> = fc.record({
  users: fc.subarray(USERS),
  log: fc.constantFrom('one.log', 'two.log', 'one.log', 'two.log', 'directory'),
  port: fc.constantFrom(0, 1, 2, 0, 1, 2, 3),
  broken: fc.nat(4).map((n) => n === 0),
  dryRun: fc.nat(6).map((n) => n === 0),
  hasty: fc.boolean(),
});

const isValid = (saved: Saved): boolean => !saved.broken && saved.log !== 'directory' && saved.port !== 3;

interface Place {
  readonly dir: string;
  readonly ports: readonly number[];
  readonly now: () => number;
}

function save({ dir, ports }: Place, saved: Saved): void {
  const { users, log, port, broken } = saved;
  const listen = `listen: 127.0.0.1:${ports[port] ?? 0}\n`;
  writeFileSync(join(dir, 'mcproxy.yml'), `${listen}log: { file: ${log}, level: error }\n`);
  writeFiles(dir, { 'tokens.yml': `${tokensFile(users, 'http://127.0.0.1:1')}${broken ? '  }\n' : ''}` });
}

async function startIn(place: Place): Promise<App> {
  const load = (): ReturnType<typeof loadConfig> =>
    loadConfig({ configPath: place.dir, tokensPath: undefined, env: {}, overrides: {} });
  const { config } = await load();
  assert.ok(config !== undefined);
  const monotonicMs = (): number => performance.now();
  return startApp({
    config,
    diag: openDiag({
      write: () => undefined,
      level: 'error',
      now: place.now,
      monotonicMs,
      timestamps: false,
      priorityPrefix: false,
    }),
    clock: { wallMs: place.now, monotonicMs, random: () => 0 },
    startId: 'fuzz',
    stateKey: Buffer.alloc(32),
    stateDirectory: undefined,
    ambientEnv: {},
    load,
    onLostEntries: (lines) => assert.fail(lines),
  });
}

/** Ports that are free, and last one that is not. */
async function makePorts(t: { after(fn: () => void): void }): Promise<number[]> {
  const servers = Array.from({ length: 4 }, () => createServer());
  await Promise.all(servers.map((server) => new Promise<void>((done) => void server.listen(0, '127.0.0.1', done))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  const closing = servers.slice(0, 3).map((server) => new Promise((done) => void server.close(done)));
  await Promise.all(closing);
  t.after(() => void servers[3]?.close());
  return ports;
}

verifies(
  ['reload.broken-keeps-old', 'reload.dry-run'],
  'whatever is saved and reloaded, the state is that of the last valid configuration, and readiness tells of the last',
  async (t) => {
    const ports = await makePorts(t);
    const first: Saved = { users: ['alice'], log: 'one.log', port: 0, broken: false, dryRun: false, hasty: false };
    await fc.assert(
      fc.asyncProperty(fc.array(SAVED, { minLength: 1, maxLength: 8 }), async (sequence) => {
        const place: Place = { dir: makeTempDir(t), ports, now: () => Date.now() };
        writeFiles(place.dir, { 'directory/in': '' });
        save(place, first);
        const app = await startIn(place);
        try {
          await runSequence(app, place, [first, ...sequence]);
        } finally {
          await app.close({ graceMs: 0 });
        }
      }),
      { numRuns: 40 },
    );
  },
);

async function runSequence(app: App, place: Place, sequence: readonly Saved[]): Promise<void> {
  let current = sequence[0] as Saved;
  let ready = true;
  let hurried: Promise<unknown>[] = [];
  for (const saved of sequence.slice(1)) {
    save(place, saved);
    const reloading = app.reload({ dryRun: saved.dryRun, cause: 'file' });
    // A hasty save is followed by another reload of the same files, as SIGHUP after a save is.
    if (saved.hasty) hurried.push(app.reload({ dryRun: saved.dryRun, cause: 'signal' }));
    // oxlint-disable-next-line no-await-in-loop -- one save after the other
    const result = await reloading;
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all(hurried);
    hurried = [];
    if (saved.dryRun) {
      assert.equal(result.ok, !saved.broken, 'a dry run opens nothing');
      continue;
    }
    assert.equal(result.ok, isValid(saved), JSON.stringify(result.problems));
    ready = result.ok;
    if (result.ok) current = saved;
  }
  assert.equal(app.url, `http://127.0.0.1:${place.ports[current.port] ?? 0}`);
  const before = readEntries(join(place.dir, current.log)).length;
  for (const user of USERS) {
    // A server that does not exist is told only to whom is let in.
    // oxlint-disable-next-line no-await-in-loop
    const { status } = await call(app.url, user, { server: 'nowhere' });
    assert.equal(status, current.users.includes(user) ? 404 : 401, user);
  }
  assert.equal((await send(`${app.url}/readyz`)).status, ready ? 200 : 503);
  assert.equal(readEntries(join(place.dir, current.log)).length, before + USERS.length + 1);
}
