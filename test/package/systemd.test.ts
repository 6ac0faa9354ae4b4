import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before } from 'node:test';
import { fetchRuntime } from '../../build/node-runtime.ts';
import { runTool } from '../../build/run-tool.ts';
import { OPENING, postScript, readAnswer, toolCall, type PrintedAnswer } from '../support/machine-client.ts';
import { boot, BOOKWORM, makeRoot, whyNoMachine, type Machine } from '../support/machine.ts';
import { debianPackage, NEXT_VERSION, nextDebianPackage, ROOT } from '../support/products.ts';
import { collectCleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

/**
 * One life of an installed service under a real systemd, as process 1 of its own namespaces: the tests follow each
 * other, each goes on where the one before stopped.
 */
const skip = whyNoMachine() ?? false;
const SETTINGS = `listen: 0.0.0.0:3000
log: { file: /var/log/mcproxy/access.ndjson }
servers:
  remote: { url: "http://127.0.0.1:4000/mcp" }
  local: { command: node, args: [/srv/where/server.mjs] }
  packed: { command: npx, args: [--yes, --offline, --package, /srv/where-1.0.0.tgz, where] }
`;
const NPX = '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npx-cli.js "$@"\n';

let machine: Machine;
let token = '';
let session = '';

const cleanup = collectCleanup();
after(cleanup.run);

if (skip === false) {
  before(async () => {
    const files = { [debianPackage('amd64')]: 'root/mcproxy.deb', [nextDebianPackage(cleanup)]: 'root/next.deb' };
    const root = makeRoot(cleanup, BOOKWORM, files);
    furnish(root);
    machine = await boot(cleanup, root);
  });
}

/** Node, npx, and a server as a package. */
function furnish(root: string): void {
  cpSync(fetchRuntime('x64').node, join(root, 'usr/local/bin/node'));
  const npm = join(dirname(process.execPath), '../lib/node_modules/npm');
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true });
  writeFileSync(join(root, 'usr/local/bin/npx'), NPX, { mode: 0o755 });
  mkdirSync(join(root, 'srv/where'), { recursive: true });
  cpSync(join(ROOT, 'test/peers/writes-where-it-may.mjs'), join(root, 'srv/where/server.mjs'));
  cpSync(join(ROOT, 'test/peers/keeps-asking.mjs'), join(root, 'srv/keeps-asking.mjs'));
  const manifest = { name: 'where', version: '1.0.0', type: 'module', bin: { where: 'server.mjs' } };
  writeFileSync(join(root, 'srv/where/package.json'), JSON.stringify(manifest));
  runTool(['npm', 'pack', join(root, 'srv/where'), '--silent', '--pack-destination', join(root, 'srv')], {
    install: 'apt install npm',
  });
}

const post = (message: unknown): PrintedAnswer =>
  readAnswer(machine.must(postScript(message, session === '' ? { token } : { token, session })));

function openSession(): string {
  const opened = post(OPENING);
  assert.equal(opened.status, 200, opened.body);
  return opened.session;
}

function callTool(name: string): string {
  const called = post(toolCall(name));
  assert.equal(called.status, 200, called.body);
  return called.body;
}

const mainPid = (): string => machine.must('systemctl show --value -p MainPID mcproxy').trim();
const isActive = (): boolean => machine.run('systemctl is-active mcproxy').stdout.trim() === 'active';
/** In this order: between two processes the unit has none (0), and before its end is noticed it counts as active. */
const isReplaced = (pid: string): boolean => !['0', pid].includes(mainPid()) && isActive();
const journal = (): string => machine.must('journalctl --no-pager -o cat -u mcproxy');

verifies(
  'package.install',
  'installed, the service runs and tells everybody how to add a user',
  async (t) => {
    const printed = machine.must('apt-get install -y /root/mcproxy.deb 2>&1');
    const lines = printed.split('\n').filter((line) => line.startsWith('mcproxy: '));
    assert.equal(lines.length, 3, printed);
    // Started means listening: nothing is waited for here.
    assert.ok(isActive(), journal());
    const refused = machine.must('curl -s -i -X POST http://127.0.0.1:3000/mcp');
    assert.match(refused, /^HTTP\/1\.1 401 /);
    assert.match(refused, /run: mcproxy token add NAME/);
    const modes = machine.must(
      'stat -c "%a %U:%G %n" /etc/mcproxy /etc/mcproxy/* /var/lib/mcproxy/seal.key /run/mcproxy/admin.sock',
    );
    assert.deepEqual(modes.trim().split('\n'), [
      '750 root:mcproxy /etc/mcproxy',
      '640 root:mcproxy /etc/mcproxy/mcproxy.yml',
      '640 root:mcproxy /etc/mcproxy/tokens.yml',
      '600 mcproxy:mcproxy /var/lib/mcproxy/seal.key',
      '660 mcproxy:mcproxy /run/mcproxy/admin.sock',
    ]);
    assert.match(machine.must('systemctl show -p StatusText mcproxy'), /listening on http:\/\/0\.0\.0\.0:3000/);
    machine.must('systemctl is-enabled mcproxy && mcproxy check && dpkg --verify mcproxy');
    t.diagnostic(
      machine.must(`grep -E 'VmRSS|RssAnon' /proc/${mainPid()}/status; grep ^Pss: /proc/${mainPid()}/smaps_rollup`),
    );
  },
  { skip },
);

verifies(
  ['package.reload', 'package.commands'],
  'a reload brings servers, and commands write where they may',
  async () => {
    machine.must('systemd-run --quiet --unit=remote node /srv/where/server.mjs 4000');
    writeFileSync(join(machine.root, 'etc/mcproxy/mcproxy.yml'), SETTINGS);
    machine.must('systemctl reload mcproxy');
    token = machine.must('mcproxy token add alice 2>/dev/null').trim();
    await waitFor(() => post({ jsonrpc: '2.0', id: 0, method: 'ping' }).status !== 401);
    session = openSession();
    await waitFor(() => callTool('remote__where').includes('directories'), { deadlineMs: 20_000 });
    for (const name of ['local__where', 'packed__where']) {
      const body = callTool(name);
      assert.match(body, /\/var\/cache\/mcproxy/, body);
      assert.match(body, /\\"notify\\":null/, 'a command is not told of the service manager');
    }
    assert.ok(existsSync(join(machine.root, 'var/cache/mcproxy/written')));
  },
  { skip },
);

verifies(
  'package.reload',
  'a reload of broken files fails with the reason and changes nothing',
  () => {
    machine.must('cp /etc/mcproxy/mcproxy.yml /root/kept && echo "bad: 1" >> /etc/mcproxy/mcproxy.yml');
    assert.notEqual(machine.run('systemctl reload mcproxy').code, 0);
    assert.match(journal(), /"bad" is not an option here/);
    assert.match(callTool('remote__where'), /directories/);
    // Not `cp`: the file keeps its owner and mode.
    machine.must('cat /root/kept > /etc/mcproxy/mcproxy.yml && systemctl reload mcproxy');
  },
  { skip },
);

verifies(
  'package.upgrade',
  'an upgrade keeps edited files and sessions, restarts the service and appends to its log',
  async () => {
    const [pid, first] = [mainPid(), machine.must('head -1 /var/log/mcproxy/access.ndjson')];
    machine.must('apt-get install -y -o Dpkg::Options::=--force-confold /root/next.deb');
    assert.equal(machine.must("dpkg-query -W -f '${Version}' mcproxy"), NEXT_VERSION);
    assert.notEqual(mainPid(), pid);
    assert.ok(isActive(), journal());
    assert.equal(machine.must('cat /etc/mcproxy/mcproxy.yml'), SETTINGS);
    assert.equal(machine.must('stat -c "%a %U:%G" /etc/mcproxy/mcproxy.yml').trim(), '640 root:mcproxy');
    assert.match(callTool('remote__where'), /directories/);
    assert.equal(machine.must('head -1 /var/log/mcproxy/access.ndjson'), first);
  },
  { skip },
);

verifies(
  'package.upgrade',
  'a service that was killed comes back and continues its sessions',
  async () => {
    const pid = mainPid();
    machine.must(`kill -9 ${pid}`);
    await waitFor(() => isReplaced(pid), { deadlineMs: 15_000, what: 'the restart' });
    assert.match(callTool('local__where'), /directories/);
  },
  { skip },
);

verifies(
  'service.watchdog',
  'a service whose event loop is stuck is started anew',
  async () => {
    machine.must(
      'mkdir -p /run/systemd/system/mcproxy.service.d && printf "[Service]\\nWatchdogSec=2\\n" > /run/systemd/system/mcproxy.service.d/w.conf',
    );
    machine.must('systemctl daemon-reload && systemctl restart mcproxy');
    const pid = mainPid();
    machine.must(`kill -STOP ${pid}`);
    await waitFor(() => isReplaced(pid), { deadlineMs: 30_000, what: 'the watchdog' });
    machine.must(
      'rm /run/systemd/system/mcproxy.service.d/w.conf && systemctl daemon-reload && systemctl restart mcproxy',
    );
  },
  { skip },
);

verifies(
  'service.restart-refuses-nobody',
  'with the socket unit restarts refuse no connection',
  async (t) => {
    machine.must('systemctl stop mcproxy && systemctl enable --now mcproxy.socket && systemctl start mcproxy');
    machine.must(
      'systemd-run --quiet --unit=asking -p StandardOutput=file:/root/counts node /srv/keeps-asking.mjs http://127.0.0.1:3000/healthz /root/stop',
    );
    machine.must(
      'systemctl restart mcproxy && systemctl restart mcproxy && apt-get install -y --reinstall /root/next.deb',
    );
    machine.must('touch /root/stop');
    await waitFor(() => machine.run('systemctl is-active asking').stdout.trim() !== 'active', { deadlineMs: 20_000 });
    const counts = JSON.parse(machine.must('cat /root/counts')) as { asked: number; failed: number; errors: string[] };
    t.diagnostic(JSON.stringify(counts));
    assert.ok(counts.asked > 20, `only ${counts.asked} connections`);
    assert.equal(counts.failed, 0, counts.errors[0]);
    machine.must('systemctl disable --now mcproxy.socket; systemctl restart mcproxy');
  },
  { skip },
);

verifies(
  'package.confinement',
  'the unit is valid, and its exposure is within the bound',
  async (t) => {
    assert.equal(machine.must('systemd-analyze verify --man=no mcproxy.service mcproxy.socket 2>&1'), '');
    const exposure = (): number =>
      Number(
        /exposure level for mcproxy\.service: ([\d.]+)/.exec(
          machine.run('systemd-analyze security --no-pager mcproxy').stdout,
        )?.[1],
      );
    t.diagnostic(`exposure ${exposure()}`);
    assert.ok(exposure() <= 4);
    machine.must(
      'install -D -m 644 /usr/share/doc/mcproxy/examples/strict.conf /etc/systemd/system/mcproxy.service.d/strict.conf',
    );
    machine.must('systemctl daemon-reload && systemctl restart mcproxy');
    t.diagnostic(`with strict.conf ${exposure()}`);
    assert.ok(exposure() <= 2);
    await waitFor(() => callTool('remote__where').includes('directories'), { what: 'a remote call under strict.conf' });
    assert.doesNotMatch(callTool('local__where'), /directories/, 'no command runs under strict.conf');
    machine.must('rm -r /etc/systemd/system/mcproxy.service.d && systemctl daemon-reload && systemctl restart mcproxy');
  },
  { skip },
);

verifies(
  'package.install',
  'files with problems end the start with 78 and no further attempt',
  async () => {
    machine.must('echo "bad: 1" >> /etc/mcproxy/mcproxy.yml');
    assert.notEqual(machine.run('systemctl restart mcproxy').code, 0);
    assert.equal(machine.must('systemctl show --value -p ExecMainStatus -p ActiveState mcproxy').trim(), '78\nfailed');
    machine.must('cat /root/kept > /etc/mcproxy/mcproxy.yml && systemctl restart mcproxy');
  },
  { skip },
);

verifies(
  'package.install',
  'logrotate moves the log away, and the next entry is in a new file',
  async () => {
    machine.must('logrotate --force /etc/logrotate.d/mcproxy');
    assert.ok(existsSync(join(machine.root, 'var/log/mcproxy/access.ndjson.1')));
    await waitFor(() => (callTool('remote__where'), existsSync(join(machine.root, 'var/log/mcproxy/access.ndjson'))));
  },
  { skip },
);

verifies(
  'package.remove',
  'removing stops the service and keeps the files; purging leaves none',
  () => {
    machine.must('apt-get remove -y mcproxy');
    assert.ok(!isActive());
    assert.equal(machine.run('curl -s http://127.0.0.1:3000/healthz').code, 7);
    assert.ok(existsSync(join(machine.root, 'etc/mcproxy/tokens.yml')));
    machine.must('apt-get purge -y mcproxy');
    assert.equal(
      machine.must("find / -xdev -name '*mcproxy*' -not -path '/proc/*' -not -path '/root/*' -not -path '/sys/*'"),
      '',
    );
  },
  { skip },
);
