import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultOfRedirect, matchesRedirect, placeOf, withParameters } from '../../src/auth/facade-redirect.ts';
import { verifies } from '../support/verifies.ts';

for (const uri of [
  'https://claude.ai/api/mcp/auth_callback',
  'https://chatgpt.com/connector_platform_oauth_redirect',
  'http://localhost/callback',
  'http://localhost:6274/oauth/callback',
  'http://127.0.0.1:33418/',
  'http://[::1]:8080/x?y=z',
  'cursor://anysphere.cursor-retrieval/oauth/user-github/callback',
  'vscode://vscode.github-authentication/did-authenticate',
  'com.example.app:/oauth',
])
  verifies('facade.redirects', `${uri} may be registered`, () => assert.equal(faultOfRedirect(uri), undefined));

for (const uri of [
  '',
  '/callback',
  'http://client.example/',
  'http://localhost.evil.example/',
  'http://127.0.0.2/',
  'http://10.0.0.1/',
  'https://client.example/#',
  'https://a:b@client.example/',
  'https://client.example/ ',
  'https://client.example/\n',
  'https://client.example/"onclick',
  "https://client.example/'",
  'https://client.example/<b>',
  String.raw`https:\\client.example`,
  'JavaScript:alert(1)',
  'data:text/html,x',
  'blob:https://client.example/x',
  'file:///etc/passwd',
  'view-source:https://client.example/',
  'chrome://settings/',
  `https://client.example/${'x'.repeat(2_000)}`,
])
  verifies('facade.redirects', `${JSON.stringify(uri.slice(0, 40))} may not`, () => assert.ok(faultOfRedirect(uri)));

test('a port may differ for loopback alone, and nothing else may', () => {
  const registered = ['http://localhost/cb', 'http://[::1]:1/cb', 'https://client.example/cb'];
  const matches = (uri: string): boolean => matchesRedirect(registered, uri);
  assert.ok(
    ['http://localhost:5/cb', 'http://localhost/cb', 'http://[::1]:2/cb', 'https://client.example/cb'].every(matches),
  );
  for (const uri of [
    'http://localhost:5/CB',
    'http://LOCALHOST/cb',
    'http://localhost:5/cb?x',
    'http://localhost:99999/cb',
    'http://localhost:5:6/cb',
    'http://localhost:5@evil.example/cb',
    'http://127.0.0.1/cb',
    'https://localhost/cb',
    'https://client.example:443/cb',
  ])
    assert.ok(!matches(uri), uri);
});

test('people see a host, a local program, or the scheme of one', () => {
  assert.deepEqual(placeOf('https://claude.ai/x'), { name: 'claude.ai', isLocal: false });
  assert.deepEqual(placeOf('http://localhost:1/x'), { name: 'localhost:1', isLocal: true });
  assert.deepEqual(placeOf('cursor://x'), { name: 'cursor://', isLocal: true });
  assert.equal(placeOf('https://cl\u0430ude.ai/x').name, 'xn--clude-5ve.ai');
});

test('parameters are added to what is there, and end nothing early', () => {
  assert.equal(withParameters('app:/x', { code: 'a&b', state: undefined }), 'app:/x?code=a%26b');
  assert.equal(withParameters('https://c.example/?a=1', { state: '\r\n#' }), 'https://c.example/?a=1&state=%0D%0A%23');
});
