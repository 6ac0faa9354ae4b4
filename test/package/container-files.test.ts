import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import { fetchRuntime } from '../../build/node-runtime.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { OPENING, postScript, readAnswer, toolCall, type PostOptions } from '../support/machine-client.ts';
import {
  boot,
  BOOKWORM,
  makeRootWithPodman,
  rootArchive,
  whyNoMachine,
  type Debian,
  type Machine,
} from '../support/machine.ts';
import { EXECUTABLE, ROOT } from '../support/products.ts';
import { collectCleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

/**
 * compose.yml, the Quadlet and kubernetes.yml, run by the commands of packaging/README.md in a Debian 13 with Podman: its
 * systemd is process 1 of its own namespaces, the network among them, so that ports are those of the files. The tests
 * follow each other; the first builds the image for all.
 */
const skip = whyNoMachine() ?? false;
/** The oldest Debian whose Podman knows Quadlet. */
const TRIXIE: Debian = { suite: 'trixie', architecture: 'amd64' };
const BASE_IMAGE = 'docker.io/library/debian:12-slim';
/** Where the guide begins. */
const SOURCES = '/srv/mcproxy';
const SERVERS = 'servers: { up: { url: "http://host.containers.internal:4000/mcp" } }';

/** Not every machine lets processes be counted, or limits be lifted, which is what Podman does by itself. */
const CONTAINERS_CONF = `[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
`;

let machine: Machine;
let whyNot: string | undefined;
let token = '';

const cleanup = collectCleanup();
after(async () => {
  await cleanup.run();
  await checkNothingLeft();
});

if (skip === false) {
  before(async () => {
    const root = makeRootWithPodman(cleanup, TRIXIE, { [rootArchive(BOOKWORM, 'services')]: 'srv/base.tar' });
    const sources = join(root, SOURCES);
    cpSync(join(ROOT, 'packaging'), join(sources, 'packaging'), { recursive: true });
    for (const path of Object.values(EXECUTABLE)) cpSync(path(), join(sources, 'dist', path().split('/').at(-1) ?? ''));
    cpSync(fetchRuntime('x64').node, join(root, 'usr/local/bin/node'));
    cpSync(join(ROOT, 'test/peers/writes-where-it-may.mjs'), join(root, 'srv/where.mjs'));
    writeFileSync(join(root, 'etc/containers/containers.conf'), CONTAINERS_CONF);
    machine = await boot(cleanup, root);
    machine.must('systemd-run --quiet --unit=remote node /srv/where.mjs 4000 0.0.0.0');
    whyNot = whyNoContainer();
  });
}

/** Why no container runs here, also not with the slower way to store images; undefined when one does. */
function whyNoContainer(): string | undefined {
  let why = 'no container runs on this machine:';
  for (const driver of ['overlay', 'vfs']) {
    const paths = 'runroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n';
    const file = join(machine.root, 'etc/containers/storage.conf');
    writeFileSync(file, `[storage]\ndriver = "${driver}"\n${paths}`);
    const script = `podman import /srv/base.tar ${BASE_IMAGE} && podman run --rm ${BASE_IMAGE} /bin/true`;
    const { code, stderr } = machine.run(`rm -rf /var/lib/containers /run/containers; ${script}`);
    if (code === 0) return undefined;
    why += ` ${driver}: ${stderr.trim().slice(-500)}`;
  }
  return why;
}

/** One step of the life of that machine. */
function goesOn(title: string, run: (context: TestContext) => Promise<void>): void {
  const unlessImpossible = async (t: TestContext): Promise<void> =>
    whyNot === undefined ? await run(t) : t.skip(whyNot);
  verifies('package.container-files', title, unlessImpossible, { skip });
}

/** The commands that the guide has under a heading, with other names for some. @returns what they printed */
function follow(heading: string, names: Readonly<Record<string, string>> = {}): string {
  const guide = readFileSync(join(ROOT, 'packaging/README.md'), 'utf8');
  const section = guide.split(`\n### ${heading}\n`)[1]?.split('\n#')[0] ?? '';
  let commands = /^```sh\n(.*?)^```$/ms.exec(section)?.[1] ?? assert.fail(`the guide has no commands for ${heading}`);
  for (const [name, other] of Object.entries(names)) commands = commands.replaceAll(name, other);
  return machine.must(`set -e; cd ${SOURCES}\n${commands}`);
}

const printedToken = (printed: string): string => /^mcp_\S+$/m.exec(printed)?.[0] ?? assert.fail(printed);

const post = (message: unknown, options: Partial<PostOptions> = {}) =>
  readAnswer(machine.must(postScript(message, { token, ...options })));

/** Asks until the file that was just written, or the service that was just started, is in force. */
async function callsTool(options: Partial<PostOptions> = {}): Promise<void> {
  const calls = (): boolean => {
    const { status, body } = post(toolCall('up__where'), options);
    assert.equal(status, 200, body);
    assert.match(body, /directories/);
    return true;
  };
  await waitFor(calls, { deadlineMs: 20_000, what: 'the answer of the server' });
}

const replaceIn = (path: string, changes: Readonly<Record<string, string>>): void => {
  const file = join(machine.root, path);
  let text = readFileSync(file, 'utf8');
  for (const [old, replacement] of Object.entries(changes)) {
    assert.ok(text.includes(old), `${path} has no ${old}`);
    text = text.replace(old, () => replacement);
  }
  writeFileSync(file, text);
};

const inspect = (container: string, format: string): string =>
  machine.must(`podman inspect --format '{{${format}}}' ${container}`).trim();

/** Its own check says so, and its status has the one user of each guide. */
async function isHealthy(container: string): Promise<void> {
  const healthy = (): boolean => machine.run(`podman healthcheck run ${container}`).code === 0;
  await waitFor(healthy, { deadlineMs: 20_000, what: `the health of ${container}` });
  assert.match(machine.must(`podman exec ${container} /usr/bin/mcproxy status`), /^mcproxy .*, ready\n1 user,/);
}

function isRefused(): void {
  assert.equal(machine.run('curl -s http://127.0.0.1:3000/healthz').code, 7);
}

goesOn('podman-compose builds the image, starts it, serves a user who was added, and ends it', async (t) => {
  const names = { 'docker compose': 'BUILDAH_FORMAT=docker podman-compose', 'docker run': 'podman run' };
  token = printedToken(follow('Compose', names));
  replaceIn(`${SOURCES}/packaging/config/mcproxy.yml`, { 'servers: {}': SERVERS });
  await callsTool();
  assert.equal(post(toolCall('up__where'), { token: 'wrong' }).status, 401);
  await isHealthy('packaging_mcproxy_1');
  machine.must(`cd ${SOURCES}/packaging && podman-compose stop`);
  assert.equal(inspect('packaging_mcproxy_1', '.State.ExitCode'), '0');
  machine.must(`cd ${SOURCES}/packaging && podman-compose down`);
  isRefused();
  t.diagnostic(machine.must('podman version --format "podman {{.Client.Version}}"; podman-compose --version').trim());
});

goesOn('Docker Compose starts the same files and ends them', async (t) => {
  const compose = `cd ${SOURCES}/packaging; export DOCKER_HOST=unix:///run/podman/podman.sock; docker-compose`;
  machine.must('systemctl start podman.socket');
  machine.must(`${compose} up -d`);
  await callsTool();
  await isHealthy('packaging-mcproxy-1');
  machine.must(`${compose} stop`);
  assert.equal(inspect('packaging-mcproxy-1', '.State.ExitCode'), '0');
  machine.must(`${compose} down --volumes`);
  isRefused();
  t.diagnostic(machine.must('docker-compose version').trim());
});

const unit = (property: string): string => machine.must(`systemctl show --value -p ${property} mcproxy`).trim();

goesOn('systemd starts the Quadlet, also with the machine, and gives it time to stop', async () => {
  token = printedToken(follow('Podman and systemd (Quadlet)'));
  replaceIn('etc/mcproxy/mcproxy.yml', { 'servers: {}': SERVERS });
  await callsTool();
  await isHealthy('systemd-mcproxy');
  assert.match(unit('WantedBy'), /multi-user\.target/);
  // The smaller one counts, and is above `drain` and `shutdown_grace` of the other files.
  assert.equal(inspect('systemd-mcproxy', '.Config.StopTimeout'), '25');
  assert.equal(unit('TimeoutStopUSec'), '30s');
});

goesOn('a Quadlet that was killed comes back and continues its sessions', async () => {
  const { session } = post(OPENING);
  assert.notEqual(session, '');
  machine.must('podman kill --signal KILL systemd-mcproxy');
  await callsTool({ session });
  assert.equal(unit('NRestarts'), '1');
});

goesOn('a Quadlet ends in good order, and stays down while the files have problems', async () => {
  machine.must('systemctl stop mcproxy');
  assert.deepEqual([unit('ActiveState'), unit('Result'), unit('ExecMainStatus')], ['inactive', 'success', '0']);
  assert.equal(machine.must('podman ps --all --quiet'), '');
  machine.must('echo "bad: 1" >> /etc/mcproxy/mcproxy.yml && systemctl start mcproxy');
  await waitFor(() => unit('ActiveState') === 'failed', { deadlineMs: 20_000, what: 'the end of the service' });
  assert.deepEqual([unit('ExecMainStatus'), unit('NRestarts')], ['78', '0']);
});

goesOn('pods of kubernetes.yml serve, continue the sessions of each other, and end within their grace', async () => {
  const manifest = `${SOURCES}/packaging/kubernetes.yml`;
  replaceIn(manifest, { 'servers: {}': SERVERS, 'drain: 10s': 'drain: 1s' });
  if (!machine.must('cat /sys/fs/cgroup/cgroup.controllers').includes('memory'))
    machine.must(`sed -i '/ resources:/,+2d' ${manifest}`);
  token = printedToken(follow('Kubernetes'));
  await isHealthy('mcproxy-pod-mcproxy');
  assert.equal(machine.must('curl -s http://127.0.0.1:3000/readyz'), '{"status":"ready"}');
  const { session } = post(OPENING);
  assert.notEqual(session, '');

  const ports = [3_001, 3_002];
  writeFileSync(join(machine.root, SOURCES, 'more.yml'), furtherPods(ports));
  machine.must(`cd ${SOURCES} && podman kube play more.yml`);
  for (const port of ports) {
    // oxlint-disable-next-line no-await-in-loop -- one session is in one place at a time
    await callsTool({ port, session });
    assert.equal(inspect(`mcproxy-${port}-pod-mcproxy`, '.Config.StopTimeout'), '30');
  }
  machine.must(`cd ${SOURCES} && timeout 30 podman kube down more.yml && timeout 30 podman kube down pod.yml`);
  assert.equal(machine.must('podman ps --all --quiet; podman secret ls --quiet'), '');
  isRefused();
});

/** The Deployment of the pod that runs once more for each port, with the ConfigMap; the secrets are there already. */
function furtherPods(ports: readonly number[]): string {
  const parts = readFileSync(join(machine.root, SOURCES, 'pod.yml'), 'utf8').split('\n---\n');
  const part = (kind: string): string => parts.find((text) => text.includes(`kind: ${kind}\n`)) ?? assert.fail(kind);
  const pods = ports.map((port) =>
    part('Deployment')
      .replace('  name: mcproxy\n', `  name: mcproxy-${port}\n`)
      .replace('containerPort: 3000', `containerPort: 3000, hostPort: ${port}`),
  );
  return [part('ConfigMap'), ...pods].join('\n---\n');
}
