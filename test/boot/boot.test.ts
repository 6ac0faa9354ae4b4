import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { fetchRuntime } from '../../build/node-runtime.ts';
import { emulateArm, ON_ARM } from '../support/emulation.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { OPENING, postScript, readAnswer, toolCall } from '../support/machine-client.ts';
import { enterRoot, makeRootWithKernel, whyNoMachine, type Debian } from '../support/machine.ts';
import { debianPackage, ROOT } from '../support/products.ts';
import { collectCleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { bootVirtually, type VirtualMachine } from '../support/virtual-machine.ts';
import { waitFor } from '../support/wait.ts';

/**
 * A Debian with its own kernel and the package installed, from power-on: the tests follow each other, each goes on where
 * the one before stopped. Everything is said over a serial line of the machine. `npm run test:arm64` boots
 * the package for arm64, on a kernel with pages of 16 KiB as on a Raspberry Pi 5.
 */
const architecture = ON_ARM ? 'arm64' : 'amd64';
const MACHINES = {
  amd64: { suite: 'bookworm', runtime: 'x64', pageBytes: 4_096 },
  arm64: { suite: 'trixie', runtime: 'arm64', pageBytes: 16_384 },
} as const;
const { suite, runtime, pageBytes } = MACHINES[architecture];
const skip = whyNoMachine() ?? false;
const LOG = '/var/log/mcproxy/access.ndjson';
const KILLED_MS_MAX = 60_000;
/** Of the service itself, proportional and resident; what was measured is in packaging/README.md. */
const [PSS_MIB_MAX, RSS_MIB_MAX] = [48, 50];

/** Five of each kind, all real. */
const TEN_SERVERS = [1, 2, 3, 4, 5].flatMap((n) => [
  `  remote${n}: { url: "http://127.0.0.1:4000/mcp" }`,
  `  local${n}: { command: node, args: [/srv/where.mjs] }`,
]);
const SETTINGS = ['listen: 0.0.0.0:3000', `log: { file: ${LOG} }`, 'servers:', ...TEN_SERVERS, ''].join('\n');

const REMOTE_UNIT = `[Service]
ExecStart=/usr/local/bin/node /srv/where.mjs 4000
[Install]
WantedBy=multi-user.target
`;

/** Emulated on a busy host everything takes many times as long; what is waited for stays the same. */
const PATIENCE = '[Service]\nTimeoutStartSec=300\n';

let machine: VirtualMachine;
let token = '';
let session = '';

const cleanup = collectCleanup();
after(async () => {
  await cleanup.run();
  await checkNothingLeft();
});

if (skip === false) {
  before(async () => {
    const entry = ON_ARM ? await emulateArm(cleanup) : [];
    const debian: Debian = { suite, architecture, entry };
    const root = makeRootWithKernel(cleanup, debian, { [debianPackage(architecture)]: 'root/mcproxy.deb' });
    furnish(root);
    enterRoot(root, debian).must('apt-get install -y /root/mcproxy.deb && rm /root/mcproxy.deb');
    machine = await bootVirtually(cleanup, root, debian);
  });
}

/** Node, a server for both transports, a unit that starts the remote one with the system, and patience with mcproxy. */
function furnish(root: string): void {
  cpSync(fetchRuntime(runtime).stripped, join(root, 'usr/local/bin/node'));
  chmodSync(join(root, 'usr/local/bin/node'), 0o755);
  cpSync(join(ROOT, 'test/peers/writes-where-it-may.mjs'), join(root, 'srv/where.mjs'));
  const units = join(root, 'etc/systemd/system');
  mkdirSync(join(units, 'multi-user.target.wants'), { recursive: true });
  writeFileSync(join(units, 'remote.service'), REMOTE_UNIT);
  mkdirSync(join(units, 'mcproxy.service.d'));
  writeFileSync(join(units, 'mcproxy.service.d/patience.conf'), PATIENCE);
  symlinkSync('../remote.service', join(units, 'multi-user.target.wants/remote.service'));
}

async function callTool(name: string): Promise<string> {
  const { status, body } = readAnswer(await machine.must(postScript(toolCall(name), { token, session })));
  assert.equal(status, 200, body);
  return body;
}

const mainPid = async (): Promise<string> => (await machine.must('systemctl show --value -p MainPID mcproxy')).trim();

const isActive = async (): Promise<boolean> =>
  (await machine.run('systemctl is-active mcproxy')).stdout.trim() === 'active';

const entries = async (): Promise<string[]> => (await machine.must(`cat ${LOG}`)).trim().split('\n');

verifies(
  'package.boot',
  'after the start of the machine the service runs and answers 401 with the way to add a user',
  async (t) => {
    assert.ok(await isActive(), (await machine.run('journalctl --no-pager -u mcproxy')).stdout);
    const refused = await machine.must('curl -s -i -X POST http://127.0.0.1:3000/mcp');
    assert.match(refused, /^HTTP\/1\.1 401 /);
    assert.match(refused, /run: mcproxy token add NAME/);
    assert.equal(Number(await machine.must('getconf PAGESIZE')), pageBytes);
    t.diagnostic((await machine.must('uname -srm; mcproxy --version; systemd-analyze time')).trim());
  },
  { skip },
);

verifies(
  'package.boot',
  'a user who was added calls a remote server and a command',
  async () => {
    await machine.must(`cat > /etc/mcproxy/mcproxy.yml <<'EOF'\n${SETTINGS}EOF\nsystemctl reload mcproxy`);
    token = (await machine.must('mcproxy token add alice 2>/dev/null')).trim();
    const opening = async (): Promise<string> => readAnswer(await machine.must(postScript(OPENING, { token }))).session;
    session = await waitFor(opening, { what: 'the new user to be let in', deadlineMs: 20_000 });
    assert.match(await callTool('remote1__where'), /directories/);
    assert.match(await callTool('local5__where'), /\/var\/cache\/mcproxy/);
  },
  { skip },
);

verifies(
  'package.boot',
  'killed, the service comes back and continues its session',
  async () => {
    const pid = await mainPid();
    await machine.must(`kill -9 ${pid}`);
    // In this order: between two processes the unit has none (0), and before its end is noticed it counts as active.
    const back = async (): Promise<boolean> => !['0', pid].includes(await mainPid()) && (await isActive());
    await waitFor(back, { deadlineMs: KILLED_MS_MAX, what: 'the restart' });
    assert.match(await callTool('local1__where'), /directories/);
  },
  { skip },
);

verifies(
  'package.boot',
  'after a restart of the machine the service runs, appends to its log and continues the session',
  async () => {
    const known = await entries();
    assert.ok(known.length >= 4, `only ${known.length} entries`);
    const bootId = await machine.must('cat /proc/sys/kernel/random/boot_id');
    await machine.reboot();
    assert.notEqual(await machine.must('cat /proc/sys/kernel/random/boot_id'), bootId);
    assert.ok(await isActive(), (await machine.run('journalctl --no-pager -u mcproxy')).stdout);
    assert.match(await callTool('remote5__where'), /directories/);
    assert.match(await callTool('local5__where'), /directories/);
    const now = await entries();
    assert.deepEqual(now.slice(0, known.length), known);
    assert.equal(now.length, known.length + 2);
  },
  { skip },
);

verifies(
  'package.boot',
  'with ten servers and nothing to do it is as small as it should be',
  async (t) => {
    // Before Linux 6.7 a stack of a thread is backed by 2 MB at once where its address happens to be a multiple of them.
    await machine.must('systemctl stop mcproxy && echo never > /sys/kernel/mm/transparent_hugepage/enabled');
    // From the disk, as after the start of a machine: pages that were read for something else would count too.
    await machine.must('sync && echo 3 > /proc/sys/vm/drop_caches && systemctl start mcproxy');
    const pid = await mainPid();
    // Idle is what is measured, so time has to pass: V8 collects what the start left some time after it.
    await machine.must('sleep 60');
    const status = await machine.must(`grep -E 'VmRSS|RssAnon|RssFile' /proc/${pid}/status`);
    const shares = await machine.must(`grep -E '^(Pss|Pss_Anon|Pss_File):' /proc/${pid}/smaps_rollup`);
    const group = await machine.must('systemctl show -p MemoryCurrent -p TasksCurrent mcproxy');
    t.diagnostic(`${status}${shares}${group}`.replaceAll(/\s+/g, ' ').trim());
    assert.equal(await mainPid(), pid);
    // What /proc calls kB are 1024 bytes.
    const mebibytes = (name: string, text: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1_024;
    const [pss, rss] = [mebibytes('Pss', shares), mebibytes('VmRSS', status)];
    assert.ok(pss < PSS_MIB_MAX && rss < RSS_MIB_MAX, `${pss} MiB proportional, ${rss} MiB resident`);
    // V8 would say so at each start if it did not take what was compiled when the program was built.
    assert.doesNotMatch(await machine.must('journalctl --no-pager -o cat -u mcproxy'), /code cache/i);
  },
  { skip },
);
