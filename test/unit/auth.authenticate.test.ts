import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { challenge, makeAuthenticator, type AuthResult } from '../../src/auth/authenticate.ts';
import type { Config, Principal } from '../../src/model.ts';
import { verifies } from '../support/verifies.ts';

const NOW_MS = Date.UTC(2027, 0, 31, 12);
const FROM = '192.0.2.1';

function digest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function user(id: string, ...tokens: string[]): Principal {
  return { id, role: 'user', tokenDigests: tokens.map(digest), servers: new Map() };
}

function authenticatorFor(principals: readonly Principal[], auth: Config['auth'] = 'tokens') {
  const made = makeAuthenticator({ auth, principals, servers: new Map() } as unknown as Config, {
    nowMs: () => NOW_MS,
    makeNetworks: (blocks) => (ip) => blocks.includes(`${ip}/32`),
  });
  const authenticate = (authorization: string | undefined, clientIp: string | null): AuthResult => {
    const result = made.authenticate(authorization, { clientIp, elsewhere: false });
    assert.ok(!(result instanceof Promise), 'a token of the files is looked up at once');
    return result;
  };
  return { ...made, authenticate };
}

test('each token of a user is that user, and no other text is', () => {
  const { authenticate } = authenticatorFor([user('a', 'one', 'two'), user('b', 'three')]);
  const idOf = (token: string): string => {
    const result = authenticate(`Bearer ${token}`, FROM);
    return result.kind === 'known' ? result.by.principal.id : result.kind;
  };
  assert.deepEqual(['one', 'two', 'three', 'four', 'One', ''].map(idOf), [
    'a',
    'a',
    'b',
    'unknown',
    'unknown',
    'malformed',
  ]);
  assert.deepEqual([digest('one'), '__proto__', 'constructor'].map(idOf), ['unknown', 'unknown', 'unknown']);
});

test('an unknown token is known by its digest only, a missing one by nothing', () => {
  const { authenticate } = authenticatorFor([user('a', 'one')]);
  assert.deepEqual(authenticate('Bearer other', FROM), { kind: 'unknown', tokenDigest: digest('other') });
  assert.deepEqual(authenticate(undefined, FROM), { kind: 'missing' });
});

test('a token is valid as long as it is of the same user', () => {
  const before = digest('one');
  assert.equal(
    authenticatorFor([user('a', 'one')]).stillValid({ tokenDigest: before, principalId: 'a', clientIp: FROM }),
    true,
  );
  assert.equal(
    authenticatorFor([user('b', 'one')]).stillValid({ tokenDigest: before, principalId: 'a', clientIp: FROM }),
    false,
  );
  assert.equal(
    authenticatorFor([user('a', 'two')]).stillValid({ tokenDigest: before, principalId: 'a', clientIp: FROM }),
    false,
  );
  assert.equal(
    authenticatorFor([], 'none').stillValid({ tokenDigest: before, principalId: 'a', clientIp: FROM }),
    false,
  );
  assert.equal(
    authenticatorFor([], 'none').stillValid({ tokenDigest: '', principalId: 'anonymous', clientIp: FROM }),
    true,
  );
});

const HOUR_MS = 3_600_000;
const terms = [
  { name: 'expired', terms: { expiresMs: NOW_MS }, why: /^the token laptop of a expired at 2027-01-31T12:00:00Z$/ },
  { name: 'not valid yet', terms: { notBeforeMs: NOW_MS + HOUR_MS }, why: /is valid from 2027-01-31T13:00:00Z on/ },
  { name: 'from elsewhere', terms: { networks: ['192.0.2.2/32'] }, why: /may not be used from 192\.0\.2\.1/ },
  {
    name: 'within its terms',
    terms: { expiresMs: NOW_MS + 1, notBeforeMs: NOW_MS, networks: [`${FROM}/32`] },
    why: undefined,
  },
];
for (const { name, terms: said, why } of terms) {
  verifies(
    'access.terms',
    `a token that is ${name} is ${why === undefined ? 'let in' : 'refused like an unknown one'}`,
    () => {
      const all = {
        label: 'laptop',
        expiresMs: undefined,
        notBeforeMs: undefined,
        networks: [],
        at: undefined,
        ...said,
      };
      const principal = { ...user('a', 'one', 'two'), tokenTerms: new Map([[digest('one'), all]]) };
      const { authenticate, stillValid } = authenticatorFor([principal]);
      const result = authenticate('Bearer one', FROM);
      const bearer = { tokenDigest: digest('one'), principalId: 'a', clientIp: FROM };
      assert.equal(stillValid(bearer), why === undefined);
      assert.equal(authenticate('Bearer two', FROM).kind, 'known');
      if (why === undefined) return assert.equal(result.kind, 'known');
      assert.ok(result.kind === 'refused');
      assert.match(result.why, why);
      const [told, unknown] = (['refused', 'unknown'] as const).map((kind) => challenge(kind, false, undefined));
      assert.deepEqual([told?.message, told?.headers, told?.code], [unknown?.message, unknown?.headers, unknown?.code]);
    },
  );
}

const challenges = [
  { kind: 'missing', noUsers: false, code: 'AUTH_MISSING', hasError: false },
  { kind: 'malformed', noUsers: false, code: 'AUTH_INVALID', hasError: true },
  { kind: 'unknown', noUsers: false, code: 'AUTH_INVALID', hasError: true },
  { kind: 'missing', noUsers: true, code: 'AUTH_MISSING', hasError: false },
  { kind: 'unknown', noUsers: true, code: 'AUTH_INVALID', hasError: false },
] as const;
for (const { kind, noUsers, code, hasError } of challenges) {
  test(`the challenge for a token that is ${kind}${noUsers ? ' where there are no users' : ''}`, () => {
    const error = challenge(kind, noUsers, undefined);
    assert.equal(error.code, code);
    const value = error.headers?.['www-authenticate'] ?? '';
    assert.match(value, /^Bearer realm="mcproxy"/);
    assert.equal(value.includes('error="invalid_token"'), hasError);
    assert.equal(error.message.includes('mcproxy token add'), noUsers);
  });
}
