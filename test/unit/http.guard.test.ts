import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProxyError } from '../../src/errors.ts';
import { guardHead, type GuardPolicy } from '../../src/http/guard.ts';

const POLICY: GuardPolicy = {
  pathPrefix: '',
  listenHost: '127.0.0.1',
  authenticated: true,
  allowedHosts: [],
  allowedOrigins: [],
};

/** A request as Node would give it. */
function asked(url: string, fields: Readonly<Record<string, string>> = {}): IncomingMessage {
  const all = { host: 'localhost', ...fields };
  return { url, method: 'GET', httpVersion: '1.1', headers: all, rawHeaders: Object.entries(all).flat() } as never;
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'ok';
  } catch (error) {
    assert.ok(error instanceof ProxyError);
    return error.code;
  }
}

const EVERYWHERE = { listenHost: '0.0.0.0' };
const OPEN = { authenticated: false };
const hosts: readonly { name: string; host: string; policy: Partial<GuardPolicy>; code: string }[] = [
  { name: 'this machine by name, on loopback', host: 'localhost:3000', policy: {}, code: 'ok' },
  { name: 'this machine by any loopback address', host: '127.8.9.1', policy: {}, code: 'ok' },
  { name: 'this machine by IPv6', host: '[::1]:3000', policy: {}, code: 'ok' },
  { name: 'an address of the network, on loopback', host: '192.168.1.5', policy: {}, code: 'ORIGIN_REJECTED' },
  { name: 'a name that ends like loopback', host: 'localhost.evil.example', policy: {}, code: 'ORIGIN_REJECTED' },
  { name: 'a name that begins like loopback', host: '127.0.0.1.evil.example', policy: {}, code: 'ORIGIN_REJECTED' },
  { name: 'any name, everywhere, with tokens', host: 'pi.home', policy: EVERYWHERE, code: 'ok' },
  {
    name: 'an address, everywhere, without tokens',
    host: '10.0.0.7:80',
    policy: { ...EVERYWHERE, ...OPEN },
    code: 'ok',
  },
  { name: 'an IPv6 address, without tokens', host: '[fe80::1]', policy: { ...EVERYWHERE, ...OPEN }, code: 'ok' },
  { name: 'any name, without tokens', host: 'pi.home', policy: { ...EVERYWHERE, ...OPEN }, code: 'ORIGIN_REJECTED' },
  { name: 'an allowed name', host: 'PI.home:1', policy: { ...OPEN, allowedHosts: ['pi.home'] }, code: 'ok' },
  {
    name: 'another name',
    host: 'pi.work',
    policy: { ...EVERYWHERE, allowedHosts: ['pi.home'] },
    code: 'ORIGIN_REJECTED',
  },
  { name: 'this machine beside allowed names', host: 'localhost', policy: { allowedHosts: ['pi.home'] }, code: 'ok' },
  { name: 'a name with a user', host: 'a@localhost', policy: {}, code: 'REQUEST_INVALID' },
  { name: 'two ports', host: 'localhost:1:2', policy: {}, code: 'REQUEST_INVALID' },
  { name: 'an empty name', host: '', policy: {}, code: 'REQUEST_INVALID' },
];
for (const { name, host, policy, code } of hosts) {
  test(`Host: ${name} is ${code}`, () => {
    assert.equal(
      codeOf(() => guardHead(asked('/a/mcp', { host }), { ...POLICY, ...policy })),
      code,
    );
  });
}

const origins: readonly { origin: string; host: string; code: string }[] = [
  { origin: 'http://localhost:6274', host: 'localhost:3000', code: 'ok' },
  { origin: 'http://127.0.0.1', host: 'localhost:3000', code: 'ok' },
  { origin: 'https://pi.home', host: 'pi.home', code: 'ok' },
  { origin: 'https://pi.home:444', host: 'pi.home', code: 'ORIGIN_REJECTED' },
  { origin: 'http://localhost', host: 'pi.home', code: 'ORIGIN_REJECTED' },
  { origin: 'http://evil.example', host: 'localhost', code: 'ORIGIN_REJECTED' },
  { origin: 'http://localhost@evil.example', host: 'localhost', code: 'ORIGIN_REJECTED' },
  { origin: 'http://localhost/', host: 'localhost', code: 'ORIGIN_REJECTED' },
  { origin: 'file://', host: 'localhost', code: 'ORIGIN_REJECTED' },
  { origin: 'null', host: 'localhost', code: 'ORIGIN_REJECTED' },
  { origin: '', host: 'localhost', code: 'ORIGIN_REJECTED' },
];
for (const { origin, host, code } of origins) {
  test(`Origin '${origin}' at ${host} is ${code}`, () => {
    assert.equal(
      codeOf(() => guardHead(asked('/a/mcp', { host, origin }), { ...POLICY, ...EVERYWHERE })),
      code,
    );
  });
}

test('the public URL is allowed as Host and Origin, exactly, whatever else is', () => {
  const ask = (host: string, origin: string): string =>
    codeOf(() =>
      guardHead(asked('/a/mcp', { host, origin }), {
        ...POLICY,
        allowedHosts: ['pi.home'],
        publicOrigin: 'https://mcp.example:444',
      }),
    );
  assert.equal(ask('mcp.example', 'https://mcp.example:444'), 'ok');
  assert.equal(ask('127.0.0.1', 'https://mcp.example:444'), 'ok');
  assert.equal(ask('127.0.0.1', 'http://mcp.example:444'), 'ORIGIN_REJECTED');
  assert.equal(ask('other.example', 'https://mcp.example:444'), 'ORIGIN_REJECTED');
});

test('some paths are for pages of every origin, and still for no other host', () => {
  const policy = { ...POLICY, isPublic: (path: string) => path === '/open' };
  const ask = (path: string, host: string): string =>
    codeOf(() => guardHead(asked(path, { host, origin: 'https://page.example' }), policy));
  assert.equal(ask('/open', 'localhost'), 'ok');
  assert.equal(ask('/open', 'evil.example'), 'ORIGIN_REJECTED');
  assert.equal(ask('/closed', 'localhost'), 'ORIGIN_REJECTED');
});

test('allowed origins are those and no others, and a star is all', () => {
  const ask = (origin: string, allowedOrigins: string[]): string =>
    codeOf(() => guardHead(asked('/', { origin }), { ...POLICY, allowedOrigins }));
  assert.equal(ask('https://app.example', ['https://app.example']), 'ok');
  assert.equal(ask('https://app.example.evil', ['https://app.example']), 'ORIGIN_REJECTED');
  assert.equal(ask('null', ['*']), 'ok');
});

const targets = [
  { target: '/a/mcp', prefix: '', path: '/a/mcp', query: '' },
  { target: '/a/mcp/', prefix: '', path: '/a/mcp', query: '' },
  { target: '/a/mcp?x=%2e', prefix: '', path: '/a/mcp', query: '?x=%2e' },
  { target: '/', prefix: '', path: '/', query: '' },
  { target: '/p/a/mcp', prefix: '/p', path: '/a/mcp', query: '' },
  { target: '/p', prefix: '/p', path: '/', query: '' },
  { target: '/p/', prefix: '/p', path: '/', query: '' },
  { target: '/healthz', prefix: '/p', path: '/healthz', query: '' },
  { target: '/.well-known/x', prefix: '/p', path: '/.well-known/x', query: '' },
  { target: '/register', prefix: '/p', path: '/register', query: '' },
];
for (const { target, prefix, path, query } of targets) {
  test(`${target} with the prefix '${prefix}' is ${path}${query}`, () => {
    assert.deepEqual(guardHead(asked(target), { ...POLICY, pathPrefix: prefix }), { path, query });
  });
}

for (const query of ['?é', '?#', '?\\']) {
  test(`the query ${query}, which has to be escaped, is refused`, () => {
    assert.equal(
      codeOf(() => guardHead(asked(`/a/mcp${query}`), POLICY)),
      'REQUEST_INVALID',
    );
  });
}

test('whatever the target, a path that passes has one reading', () => {
  const piece = fc.constantFrom(
    '/',
    '..',
    '.',
    'a',
    '%2e',
    '%2F',
    '\\',
    '?',
    '#',
    ';',
    '//',
    ' ',
    '\t',
    '*',
    'http:',
    'é',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const target = pieces.join('');
      if (codeOf(() => guardHead(asked(target), POLICY)) !== 'ok') return;
      const { path, query } = guardHead(asked(target), POLICY);
      const url = new URL(target, 'http://localhost');
      assert.equal(url.pathname.replace(/(?<=.)\/$/, ''), path);
      assert.equal(url.search === '' ? '' : query, url.search);
      assert.equal(url.host, 'localhost');
    }),
  );
});
