import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSealer } from '../../src/auth/seal.ts';
import { ProxyError, type ErrorCode } from '../../src/errors.ts';
import { announceEndpoint, openEndpoint, type EndpointScope } from '../../src/relay/legacy-endpoint.ts';

const sealer = makeSealer(Buffer.alloc(32, 1));
const ALICE: EndpointScope = { serverName: 'files', principalId: 'alice' };
const BASE = new URL('https://up.example/base/sse?key=1');

function announce(uri: string, scope = ALICE, prefix = ''): string {
  return announceEndpoint(uri, BASE, { sealer, prefix, scope });
}

function query(endpoint: string): string {
  return endpoint.slice(endpoint.indexOf('?'));
}

function failsWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof ProxyError && error.code === code;
}

const ours = [
  { name: 'a path', uri: '/m?sessionId=1', path: '/m?sessionId=1' },
  { name: 'a relative path', uri: 'm?sessionId=1', path: '/base/m?sessionId=1' },
  { name: 'a query', uri: '?sessionId=1', path: '/base/sse?sessionId=1' },
  { name: 'a whole URL', uri: 'https://up.example/m', path: '/m' },
  { name: 'the default port', uri: 'https://up.example:443/m', path: '/m' },
  { name: 'a user name and a fragment, which are left out', uri: 'https://u:p@up.example/m#x', path: '/m' },
  { name: 'dot segments', uri: '/a/../m', path: '/m' },
  { name: 'letters beyond ASCII', uri: '/ü?q=ü', path: '/%C3%BC?q=%C3%BC' },
];
for (const { name, uri, path } of ours) {
  test(`an endpoint given as ${name} is announced as ours and leads back`, () => {
    const endpoint = announce(uri);
    assert.match(endpoint, /^\/files\/messages\?sessionId=[A-Za-z0-9_-]+$/);
    assert.equal(openEndpoint(query(endpoint), sealer, ALICE), path);
    assert.ok(announce(uri, ALICE, '/prefix').startsWith('/prefix/files/messages?sessionId='));
  });
}

const foreign = [
  'http://up.example/m',
  'https://up.example:8443/m',
  'https://other.example/m',
  '//other.example/m',
  '\\\\other.example\\m',
  'https://up.example@other.example/m',
  'https://up.example.other/m',
  'javascript:x',
  'data:,x',
  'http://[',
];
for (const uri of foreign) {
  test(`the endpoint ${uri} is refused`, () => {
    assert.throws(() => announce(uri), failsWith('UPSTREAM_PROTOCOL'));
  });
}

test('a handle opens for its user and server only', () => {
  const handle = query(announce('/m'));
  const others = [
    { ...ALICE, principalId: 'bob' },
    { ...ALICE, serverName: 'other' },
    { serverName: 'alice', principalId: 'files' },
  ];
  for (const scope of others) assert.throws(() => openEndpoint(handle, sealer, scope), failsWith('SESSION_UNKNOWN'));
  assert.throws(() => openEndpoint('?sessionId=abc', sealer, ALICE), failsWith('SESSION_UNKNOWN'));
  for (const none of ['', '?', '?session=1'])
    assert.throws(() => openEndpoint(none, sealer, ALICE), failsWith('SESSION_MISSING'));
});
