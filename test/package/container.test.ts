import assert from 'node:assert/strict';
import { chmodSync, chownSync, cpSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fetchRuntime } from '../../build/node-runtime.ts';
import { makePodman, RUN_OPTIONS, type Podman } from '../support/containers.ts';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { BOOKWORM, rootArchive, whyNoMachine } from '../support/machine.ts';
import { findClosedPort } from '../support/ports.ts';
import { ROOT } from '../support/products.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { collectCleanup, makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { ACCEPT, tokenOf, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

/**
 * The Dockerfile, built and run. Its base images are made from Debian's archive under the names that it asks for, the
 * one with Node from the pinned Node.
 */
const skip = whyNoMachine() ?? false;
const USER = 65_532;
const BUILD = ['build', '--isolation=chroot', '--network=host', '--layers=false', '--format=docker'] as const;

const cleanup = collectCleanup();
after(async () => {
  await cleanup.run();
  await checkNothingLeft();
});

let podman: Podman;
let whyNot: string | undefined;

if (skip === false) {
  before(() => {
    const image = 'docker.io/library/debian:12-slim';
    const made = makePodman(cleanup, { archive: rootArchive(BOOKWORM, 'services'), image });
    if (typeof made === 'string') return void (whyNot = made);
    podman = made;
    const base = makeTempDir(cleanup);
    cpSync(fetchRuntime('x64').stripped, join(base, 'node'));
    chmodSync(join(base, 'node'), 0o755);
    writeFiles(base, { Dockerfile: 'FROM debian:12-slim\nCOPY node /usr/local/bin/node\n' });
    podman.must([...BUILD, '--tag=docker.io/library/node:22-bookworm-slim', base]);
    const file = join(ROOT, 'packaging/Dockerfile');
    podman.must([...BUILD, '--file', file, '--tag=mcproxy', ROOT]);
    podman.must([...BUILD, '--file', file, '--target=commands', '--tag=mcproxy-commands', ROOT]);
  });
}

/** What `mcproxy.container` asks for, in the words of `podman run`. */
function quadletOptions(): string[] {
  const option: Readonly<Record<string, (value: string) => string>> = {
    User: (value) => `--user=${value}:${value}`,
    ReadOnly: (value) => `--read-only=${value}`,
    Tmpfs: (value) => `--tmpfs=${value}`,
    DropCapability: (value) => `--cap-drop=${value}`,
    NoNewPrivileges: () => '--security-opt=no-new-privileges',
    HealthCmd: (value) => `--health-cmd=${value}`,
  };
  const lines = readFileSync(join(ROOT, 'packaging/mcproxy.container'), 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [key = '', ...value] = line.split('=');
    const words = option[key]?.(value.join('='));
    return words === undefined ? [] : [words];
  });
}

/** Configuration that a container may read, with a server to pass on to and further lines of `tokens.yml`. */
function configuration(url: string, further = ''): string {
  const dir = makeTempDir(cleanup);
  writeFiles(dir, { 'mcproxy.yml': 'servers: {}\n', 'tokens.yml': tokensFile(['alice'], url) + further });
  for (const [name, mode] of [
    ['.', 0o750],
    ['mcproxy.yml', 0o640],
    ['tokens.yml', 0o640],
  ] as const) {
    chmodSync(join(dir, name), mode);
    chownSync(join(dir, name), 0, USER);
  }
  return dir;
}

const PEER = 'test/peers/writes-where-it-may.mjs';

for (const { image, volumes, further, server } of [
  { image: 'mcproxy', volumes: [], further: '', server: 'up' },
  {
    image: 'mcproxy-commands',
    volumes: [`--volume=${join(ROOT, PEER)}:/srv/where.mjs:ro`],
    further: '      local: { command: node, args: [/srv/where.mjs] }\n',
    server: 'local',
  },
]) {
  verifies(
    'package.containers',
    `the image ${image} serves as its user with the options of the Quadlet, is healthy and stops in good order`,
    async (t) => {
      if (whyNot !== undefined) return t.skip(whyNot);
      const upstream = await startUpstream(cleanup, {});
      const port = await findClosedPort();
      const mounts = [`--volume=${configuration(upstream.url, further)}:/etc/mcproxy:ro`, ...volumes];
      const where = ['--env', `MCPROXY_LISTEN=127.0.0.1:${port}`, '--name', image];
      podman.must(['run', '--detach', ...RUN_OPTIONS, ...quadletOptions(), ...mounts, ...where, image]);
      cleanup.after(() => void podman.run(['rm', '--force', '--ignore', image]));
      const healthy = (): boolean => {
        if (podman.must(['inspect', '--format={{.State.Status}}', image]).trim() === 'running')
          return podman.run(['healthcheck', 'run', image]).code === 0;
        const { stdout, stderr } = podman.run(['logs', image]);
        return assert.fail(`it ended: ${stdout}${stderr}`);
      };
      await waitFor(healthy, { deadlineMs: 30_000, what: 'a healthy container' });

      const status = readFileSync(`/proc/${podman.must(['inspect', '--format={{.State.Pid}}', image]).trim()}/status`);
      assert.match(String(status), new RegExp(`^Uid:\t${USER}\t[^]*^CapEff:\t0+$[^]*^NoNewPrivs:\t1$`, 'm'));
      const headers = { accept: ACCEPT, authorization: `Bearer ${tokenOf('alice')}` };
      const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'where', arguments: {} } };
      const url = `http://127.0.0.1:${port}/${server}/mcp`;
      assert.equal((await send(url, { method: 'POST', body })).status, 401);
      const answer = await send(url, { method: 'POST', headers, body });
      assert.equal(answer.status, 200, answer.text());

      podman.must(['stop', '--time=20', image]);
      assert.equal(podman.must(['inspect', '--format={{.State.ExitCode}}', image]).trim(), '0');
    },
    { skip },
  );

  verifies(
    'package.containers',
    `a user whom the image ${image} adds stands in a file that its service can read`,
    (t) => {
      if (whyNot !== undefined) return t.skip(whyNot);
      const dir = makeTempDir(cleanup);
      const options = [...RUN_OPTIONS, '--user=0', `--volume=${dir}:/etc/mcproxy`];
      podman.must(['run', '--rm', ...options, image, 'token', 'add', 'alice']);
      const { mode, gid } = statSync(join(dir, 'tokens.yml'));
      assert.deepEqual([mode & 0o777, gid], [0o640, USER]);
    },
    { skip },
  );
}
