import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modernStatus } from '../../src/gateway/downstream-result.ts';

test('an error of a server has the HTTP status that its number has in 2026-07-28', () => {
  const rows = [
    [-32601, 404],
    [-32020, 400],
    [-32021, 400],
    [-32022, 400],
    [-32602, 200],
    [-32603, 200],
    [502, 200],
  ] as const;
  for (const [code, status] of rows) {
    assert.equal(modernStatus({ kind: 'error', code, message: '', data: undefined }), status, `${code}`);
  }
  assert.equal(modernStatus({ kind: 'complete', result: {} }), 200);
});
