import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { CHECKSUMS, packageAll } from '../../build/package.ts';
import { ROOT } from '../support/products.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

verifies('package.reproducible', 'two builds of one commit are the same, byte for byte', async (t) => {
  const sums: string[] = [];
  for (const outDir of [makeTempDir(t), makeTempDir(t)]) {
    // One after the other, as two machines would. The compression is that of tests: it takes most of the time.
    const paths = await packageAll({ root: ROOT, outDir, compression: 'gzip' });
    assert.deepEqual(
      paths.map((path) => basename(path)).filter((name) => name.endsWith('.deb') || name === CHECKSUMS).length,
      3,
    );
    sums.push(readFileSync(paths.at(-1) ?? '', 'utf8'));
  }
  assert.equal(sums[1], sums[0]);
});
