import assert from 'node:assert/strict';
import { join } from 'node:path';
import { collectCleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { boot, BOOKWORM, makeRoot, whyNoMachine } from '../support/machine.ts';
import { debianPackage, ROOT } from '../support/products.ts';

/** `packaging/install.sh` on a running system, as somebody who has just copied it and the package there. */
const skip = whyNoMachine() ?? false;

verifies(
  'package.install-script',
  'install.sh installs, lets a user in, tries the service, changes nothing again, and takes all away',
  async (t) => {
    const cleanup = collectCleanup();
    t.after(cleanup.run);
    const root = makeRoot(cleanup, BOOKWORM, {
      [debianPackage('amd64')]: 'root/mcproxy_1_amd64.deb',
      [join(ROOT, 'packaging/install.sh')]: 'root/install.sh',
    });
    const machine = await boot(cleanup, root);

    const first = machine.must('sh /root/install.sh --user alice');
    const token = /^ {2}(mcp_\S+)$/m.exec(first)?.[1] ?? '';
    assert.notEqual(token, '', first);
    assert.match(first, /^Machine: amd64, libc \S+, pages of \d+ bytes\.$/m);
    assert.match(first, /^claude mcp add --transport http /m);
    const status = `curl -s -o /dev/null -w '%{http_code}' -X POST -H 'Authorization: Bearer ${token}' http://127.0.0.1:3000/mcp`;
    assert.notEqual(machine.must(status), '401');

    const again = machine.must('sh /root/install.sh --user alice');
    assert.match(again, /alice is there already/);
    assert.doesNotMatch(again, /mcp_/);

    assert.match(machine.run('sh /root/install.sh --nonsense').stderr, /no option --nonsense/);
    machine.must('sh /root/install.sh --uninstall --purge');
    assert.equal(machine.must("find /etc /usr /var /run -xdev -name '*mcproxy*'"), '');
  },
  { skip },
);
