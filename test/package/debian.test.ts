import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { emulateArm, ON_ARM } from '../support/emulation.ts';
import { BOOKWORM, enterRoot, makeRoot, makeRootWithKernel, whyNoMachine, type Debian } from '../support/machine.ts';
import { debianPackage, NEXT_VERSION, nextDebianPackage } from '../support/products.ts';
import { collectCleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

/** The package in a bare system without a running init, as in an image build: nothing may need one. */
const skip = whyNoMachine() ?? false;

for (const architecture of ['amd64', 'arm64'] as const) {
  verifies('package.install', `lintian finds nothing to say against the package for ${architecture}`, () => {
    const found = spawnSync('lintian', ['--fail-on', 'error,warning', debianPackage(architecture)], {
      encoding: 'utf8',
    });
    assert.equal(found.error, undefined, 'run: apt install lintian');
    // Stored uncompressed or as gzip for a quick build, which lintian takes for an error of form.
    const lines = found.stdout
      .split('\n')
      .filter((line) => /^[EW]:/.test(line) && !line.includes('malformed-deb-archive'));
    assert.deepEqual(lines, []);
  });
}

const EXAMPLES = ['strict.conf', 'credentials.conf', 'haproxy.cfg', 'nginx.conf'];
/** The one for arm64 takes minutes in emulation: `npm run test:arm64`. Its root directory is that of `test/boot`. */
const SYSTEMS: readonly Debian[] = ON_ARM
  ? [{ suite: 'trixie', architecture: 'arm64' }]
  : [BOOKWORM, { suite: 'trixie', architecture: 'amd64' }];

for (const { suite, architecture } of SYSTEMS) {
  verifies(
    ['package.install', 'package.upgrade', 'package.remove'],
    `${suite} for ${architecture}: installed, edited, upgraded, removed, installed again, purged`,
    async (t) => {
      const cleanup = collectCleanup();
      t.after(cleanup.run);
      const debian = { suite, architecture, entry: ON_ARM ? await emulateArm(cleanup) : [] };
      const next = nextDebianPackage(cleanup, architecture);
      const files = { [debianPackage(architecture)]: 'root/mcproxy.deb', [next]: 'root/next.deb' };
      const root = ON_ARM ? makeRootWithKernel(cleanup, debian, files) : makeRoot(cleanup, debian, files);
      const machine = enterRoot(root, debian);
      const has = (path: string): boolean => lstatSync(join(root, path), { throwIfNoEntry: false }) !== undefined;

      machine.must('apt-get install -y /root/mcproxy.deb');
      machine.must('mcproxy --version && setpriv --reuid mcproxy --regid mcproxy --clear-groups mcproxy check');
      assert.equal(machine.must('stat -c "%a %U:%G" /etc/mcproxy/tokens.yml').trim(), '640 root:mcproxy');
      assert.ok(has('etc/systemd/system/multi-user.target.wants/mcproxy.service'), 'it starts with the system');
      for (const name of EXAMPLES) assert.ok(has(`usr/share/doc/mcproxy/examples/${name}`), name);

      machine.must('sed -i "s/^listen:.*/listen: 127.0.0.1:3001/" /etc/mcproxy/mcproxy.yml && mcproxy token add alice');
      const edited = ['mcproxy.yml', 'tokens.yml'].map((name) => readFileSync(join(root, 'etc/mcproxy', name), 'utf8'));
      machine.must('systemctl disable mcproxy && apt-get install -y -o Dpkg::Options::=--force-confold /root/next.deb');
      assert.equal(machine.must("dpkg-query -W -f '${Version}' mcproxy"), NEXT_VERSION);
      assert.deepEqual(
        ['mcproxy.yml', 'tokens.yml'].map((name) => readFileSync(join(root, 'etc/mcproxy', name), 'utf8')),
        edited,
      );
      assert.equal(machine.must('stat -c "%a %U:%G" /etc/mcproxy/mcproxy.yml').trim(), '640 root:mcproxy');
      assert.ok(!has('etc/systemd/system/multi-user.target.wants/mcproxy.service'), 'disabled stays disabled');

      machine.must('apt-get remove -y mcproxy');
      assert.ok(has('etc/mcproxy/tokens.yml') && !has('usr/bin/mcproxy'));
      machine.must('apt-get install -y /root/next.deb');
      assert.equal(readFileSync(join(root, 'etc/mcproxy/tokens.yml'), 'utf8'), edited[1]);
      machine.must('apt-get purge -y mcproxy');
      const left = machine.must("find / -xdev -name '*mcproxy*' -not -path '/root/*' -not -path '/proc/*'");
      assert.equal(left, '');
    },
    { skip },
  );
}
