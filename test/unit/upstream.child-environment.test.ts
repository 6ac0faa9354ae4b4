import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';

import { makeSecret } from '../../src/text/secret.ts';
import { childEnvironment } from '../../src/upstream/child-environment.ts';

const CASES = [
  {
    name: 'a child inherits what programs need to find themselves, to print and to place files',
    ambient: {
      PATH: '/bin',
      HOME: '/home/a',
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      XDG_CACHE_HOME: '/c',
      npm_config_cache: '/n',
    },
    configured: [],
    expected: {
      PATH: '/bin',
      HOME: '/home/a',
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      XDG_CACHE_HOME: '/c',
      npm_config_cache: '/n',
    },
  },
  {
    name: 'a child inherits no secret, no setting of mcproxy and no handle of the service',
    ambient: {
      GITHUB_TOKEN: 'x',
      MCPROXY_CONFIG: 'x',
      MCP_API_KEYS: 'x',
      NODE_OPTIONS: 'x',
      npm_config__authToken: 'x',
      HTTPS_PROXY: 'http://user:password@proxy',
      SSH_AUTH_SOCK: 'x',
      NOTIFY_SOCKET: 'x',
      CREDENTIALS_DIRECTORY: 'x',
      path: 'x',
      HOMEX: 'x',
      MY_LC_X: 'x',
    },
    configured: [],
    expected: {},
  },
  {
    name: 'what is configured goes before what is inherited, and the last of a name wins',
    ambient: { PATH: '/bin', HOME: '/home/a' },
    configured: [
      ['PATH', '/opt/bin'],
      ['KEY', 'one'],
      ['KEY', 'two'],
    ],
    expected: { HOME: '/home/a', PATH: '/opt/bin', KEY: 'two' },
  },
  {
    name: 'variables that are not set, and exported shell functions, are left out',
    ambient: { HOME: undefined, LC_X: '() { :; }', USER: '' },
    configured: [],
    expected: { USER: '' },
  },
] as const;

for (const { name, ambient, configured, expected } of CASES) {
  test(name, () => {
    const pairs = configured.map(([key, value]) => [key, makeSecret(value)] as const);
    assert.deepEqual(childEnvironment(ambient, pairs), expected);
  });
}

test('a variable called like a member of objects is a variable', () => {
  const environment = childEnvironment({}, [['__proto__', makeSecret('x')]]);
  assert.deepEqual(Object.entries(environment), [['__proto__', 'x']]);
});

test('every configured variable arrives, and nothing comes from elsewhere', () => {
  const names = fc.string({ minLength: 1 });
  fc.assert(
    fc.property(fc.dictionary(names, fc.string()), fc.dictionary(names, fc.string()), (ambient, configured) => {
      const pairs = Object.entries(configured).map(([name, value]) => [name, makeSecret(value)] as const);
      for (const [name, value] of Object.entries(childEnvironment(ambient, pairs))) {
        assert.equal(value, Object.hasOwn(configured, name) ? configured[name] : ambient[name]);
      }
      const result = childEnvironment(ambient, pairs);
      assert.ok(Object.keys(configured).every((name) => Object.hasOwn(result, name)));
    }),
  );
});
