import assert from 'node:assert/strict';
import { test } from 'node:test';

import { emptyEntry } from '../../src/app/begin.ts';
import { ProxyError } from '../../src/errors.ts';
import { asProxyError, recordFailure } from '../../src/http/exchange.ts';

const CLOCK = { wallMs: () => 0, monotonicMs: () => 0, random: () => 0 };

test('the first failure of an exchange is the one that its entry names', () => {
  const entry = emptyEntry(CLOCK);
  recordFailure(entry, new ProxyError('UPSTREAM_TIMEOUT', 'too late'));
  recordFailure(entry, new ProxyError('CLIENT_GONE', 'left'));
  assert.deepEqual([entry.errorCode, entry.error, entry.outcome], ['UPSTREAM_TIMEOUT', 'too late', 'upstream_error']);
});

test('what was thrown on purpose stays what it is', () => {
  const error = new ProxyError('BODY_TOO_LARGE', 'over');
  assert.equal(asProxyError(error), error);
});

for (const thrown of [new TypeError('secret detail'), 'text', undefined, null]) {
  test(`${String(thrown)} becomes INTERNAL, which tells the client nothing of it`, () => {
    const error = asProxyError(thrown);
    assert.equal(error.code, 'INTERNAL');
    assert.doesNotMatch(error.message, /secret detail|text|undefined|null/);
    assert.equal(error.cause, thrown);
  });
}
