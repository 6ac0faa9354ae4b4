import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { challenge, makeAuthenticator } from '../../src/auth/authenticate.ts';
import type { Config, Principal } from '../../src/model.ts';

function digest(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function user(id: string, ...tokens: string[]): Principal {
  return { id, role: 'user', tokenDigests: tokens.map(digest), servers: new Map() };
}

function authenticatorFor(principals: readonly Principal[], auth: Config['auth'] = 'tokens') {
  return makeAuthenticator({ auth, principals, servers: new Map() } as unknown as Config);
}

test('each token of a user is that user, and no other text is', () => {
  const { authenticate } = authenticatorFor([user('a', 'one', 'two'), user('b', 'three')]);
  const idOf = (token: string): string => {
    const result = authenticate(`Bearer ${token}`);
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
  assert.deepEqual(authenticate('Bearer other'), { kind: 'unknown', tokenDigest: digest('other') });
  assert.deepEqual(authenticate(undefined), { kind: 'missing' });
});

test('a token is valid as long as it is of the same user', () => {
  const before = digest('one');
  assert.equal(authenticatorFor([user('a', 'one')]).stillValid(before, 'a'), true);
  assert.equal(authenticatorFor([user('b', 'one')]).stillValid(before, 'a'), false);
  assert.equal(authenticatorFor([user('a', 'two')]).stillValid(before, 'a'), false);
  assert.equal(authenticatorFor([], 'none').stillValid(before, 'a'), false);
  assert.equal(authenticatorFor([], 'none').stillValid('', 'anonymous'), true);
});

const challenges = [
  { kind: 'missing', noUsers: false, code: 'AUTH_MISSING', hasError: false },
  { kind: 'malformed', noUsers: false, code: 'AUTH_INVALID', hasError: true },
  { kind: 'unknown', noUsers: false, code: 'AUTH_INVALID', hasError: true },
  { kind: 'missing', noUsers: true, code: 'AUTH_MISSING', hasError: false },
  { kind: 'unknown', noUsers: true, code: 'AUTH_INVALID', hasError: false },
] as const;
for (const { kind, noUsers, code, hasError } of challenges) {
  test(`the challenge for a token that is ${kind}${noUsers ? ' where there are no users' : ''}`, () => {
    const error = challenge(kind, noUsers);
    assert.equal(error.code, code);
    const value = error.headers?.['www-authenticate'] ?? '';
    assert.match(value, /^Bearer realm="mcproxy"/);
    assert.equal(value.includes('error="invalid_token"'), hasError);
    assert.equal(error.message.includes('mcproxy token add'), noUsers);
  });
}
