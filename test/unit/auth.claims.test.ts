import assert from 'node:assert/strict';
import { findClaim, namesIn } from '../../src/auth/claims.ts';
import { CLAIM_VALUE_COUNT_MAX } from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';

const any = (): boolean => true;

const forms: readonly { name: string; claims: Record<string, unknown>; claim: string; names: readonly string[] }[] = [
  { name: 'a list', claims: { roles: ['a', 'b', 'a'] }, claim: 'roles', names: ['a', 'b'] },
  { name: 'a text', claims: { role: 'a' }, claim: 'role', names: ['a'] },
  { name: 'a text with blanks', claims: { groups: ' a  b ' }, claim: 'groups', names: ['', 'a', 'b'] },
  { name: 'an item with a blank', claims: { groups: ['a b'] }, claim: 'groups', names: ['a b'] },
  {
    name: 'Keycloak',
    claims: { realm_access: { roles: ['a'] }, resource_access: { 'my.app': { roles: ['b'] } } },
    claim: 'realm_access.roles',
    names: ['a'],
  },
  {
    name: 'Keycloak, of a client with a dot',
    claims: { resource_access: { 'my.app': { roles: ['b'] }, my: { app: { roles: ['c'] } } } },
    claim: 'resource_access.my.app.roles',
    names: ['b'],
  },
  {
    name: 'Auth0',
    claims: { 'https://mcp.example.com/roles': ['a'], 'https://mcp': { 'example.com/roles': ['b'] } },
    claim: 'https://mcp.example.com/roles',
    names: ['a'],
  },
  { name: 'the exact name first', claims: { 'a.b': ['x'], a: { b: ['y'] } }, claim: 'a.b', names: ['x'] },
  { name: 'no claim', claims: { roles: ['a'] }, claim: 'groups', names: [] },
  { name: 'a list on the way', claims: { a: [{ b: 'x' }] }, claim: 'a.b', names: [] },
  { name: 'what an object inherits', claims: {}, claim: 'constructor.name', names: [] },
  { name: 'other kinds of values', claims: { roles: ['a', 1, null, { a: 1 }] }, claim: 'roles', names: ['a'] },
  { name: 'a map', claims: { roles: { a: true } }, claim: 'roles', names: [] },
];
for (const { name, claims, claim, names } of forms) {
  verifies('oauth.claims', `names in a claim: ${name}`, () => {
    assert.deepEqual(namesIn(claims, claim, any), names);
  });
}

verifies('oauth.claims-closed', 'a name that is on the object for another reason is no claim', () => {
  assert.equal(findClaim({}, 'toString'), undefined);
  assert.equal(findClaim(JSON.parse('{"__proto__":{"roles":["a"]}}') as Record<string, unknown>, 'roles'), undefined);
});

verifies('oauth.claims-closed', 'more names than are read are none at all, others do not count', () => {
  const many = Array.from({ length: CLAIM_VALUE_COUNT_MAX + 1 }, (_, index) => `role-${index}`);
  assert.equal(namesIn({ roles: many }, 'roles', any), undefined);
  assert.equal(namesIn({ roles: many.slice(1) }, 'roles', any)?.length, CLAIM_VALUE_COUNT_MAX);
  assert.deepEqual(
    namesIn({ roles: many }, 'roles', (text) => text === 'role-7'),
    ['role-7'],
  );
});
