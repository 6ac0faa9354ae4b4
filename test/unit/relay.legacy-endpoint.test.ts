import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSealer } from '../../src/auth/seal.ts';
import { ProxyError, type ErrorCode } from '../../src/errors.ts';
import { SESSION_MS_MAX } from '../../src/limits.ts';
import { announceEndpoint, openEndpoint, type EndpointScope } from '../../src/relay/legacy-endpoint.ts';
import { verifies } from '../support/verifies.ts';

let nowMs = 1_000;
const SEAL = {
  sealer: makeSealer(Buffer.alloc(32, 1)),
  clock: { wallMs: () => nowMs, monotonicMs: () => 0, random: () => 0 },
};
const BASE = new URL('https://up.example/base/sse?key=1');
const ALICE: EndpointScope = { serverName: 'files', principalId: 'alice', base: BASE };

function announce(uri: string, scope = ALICE, prefix = ''): string {
  return announceEndpoint(uri, scope, { ...SEAL, prefix });
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
    assert.equal(openEndpoint(query(endpoint), ALICE, SEAL), path);
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

verifies('gateway.front.endpoint-handle', 'a handle opens for its user, server and origin only', () => {
  const handle = query(announce('/m'));
  const others = [
    { ...ALICE, principalId: 'bob' },
    { ...ALICE, serverName: 'other' },
    { ...ALICE, serverName: 'alice', principalId: 'files' },
    { ...ALICE, base: new URL('https://moved.example/base/sse') },
    { ...ALICE, base: new URL('http://up.example/base/sse') },
  ];
  for (const scope of others) assert.throws(() => openEndpoint(handle, scope, SEAL), failsWith('SESSION_UNKNOWN'));
  assert.equal(openEndpoint(handle, { ...ALICE, base: new URL('https://up.example/elsewhere') }, SEAL), '/m');
  assert.throws(() => openEndpoint('?sessionId=abc', ALICE, SEAL), failsWith('SESSION_UNKNOWN'));
  for (const none of ['', '?', '?session=1'])
    assert.throws(() => openEndpoint(none, ALICE, SEAL), failsWith('SESSION_MISSING'));
});

verifies('gateway.front.endpoint-handle', 'a handle ends with its time', () => {
  const handle = query(announce('/m'));
  const beganMs = nowMs;
  nowMs = beganMs + SESSION_MS_MAX;
  assert.equal(openEndpoint(handle, ALICE, SEAL), '/m');
  nowMs += 1;
  assert.throws(() => openEndpoint(handle, ALICE, SEAL), failsWith('SESSION_UNKNOWN'));
  nowMs = beganMs;
});
