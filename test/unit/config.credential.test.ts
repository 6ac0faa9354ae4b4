import assert from 'node:assert/strict';
import test from 'node:test';

import { oneLine, parseFiles, pick, revealed, serverOf, validConfig } from '../support/parse-files.ts';

const BASIC = Buffer.from('me:pw-123').toString('base64');
const file = (rest: string): string => `servers:\n  a: { url: "https://x.example/", ${rest} }\n`;

const credentials = [
  { name: 'nothing', rest: 'retries: 1', credential: { type: 'none' }, from: 'none', secrets: [] },
  { name: 'auth none', rest: 'auth: none', credential: { type: 'none' }, from: 'none', secrets: [] },
  {
    name: 'a token alone',
    rest: 'token: abc',
    credential: { type: 'bearer', token: 'abc' },
    from: 'shared',
    secrets: ['abc'],
  },
  {
    name: 'a token with its scheme',
    rest: 'token: Bearer abc',
    credential: { type: 'bearer', token: 'abc' },
    from: 'shared',
    secrets: ['Bearer abc', 'abc'],
  },
  {
    name: 'bearer and token side by side',
    rest: 'auth: bearer, token: abc',
    credential: { type: 'bearer', token: 'abc' },
    from: 'shared',
    secrets: ['abc'],
  },
  {
    name: 'a map with type',
    rest: 'auth: { type: Bearer, token: abc }',
    credential: { type: 'bearer', token: 'abc' },
    from: 'shared',
    secrets: ['abc'],
  },
  {
    name: 'a map without type',
    rest: 'auth: { token: abc }',
    credential: { type: 'bearer', token: 'abc' },
    from: 'shared',
    secrets: ['abc'],
  },
  {
    name: 'basic in a map',
    rest: 'auth: { type: basic, username: me, password: pw-123 }',
    credential: { type: 'basic', username: 'me', password: 'pw-123' },
    from: 'shared',
    secrets: ['pw-123', BASIC],
  },
  {
    name: 'basic beside',
    rest: 'username: me, password: pw-123',
    credential: { type: 'basic', username: 'me', password: 'pw-123' },
    from: 'shared',
    secrets: ['pw-123', BASIC],
  },
  {
    name: 'headers in a map',
    rest: 'auth: { type: headers, headers: { X-One: a1 } }',
    credential: { type: 'headers', headers: [['X-One', 'a1']] },
    from: 'shared',
    secrets: ['a1'],
  },
  {
    name: 'headers that look secret',
    rest: 'headers: { x-api-key: a1, X-Team: red }',
    credential: { type: 'headers', headers: [['x-api-key', 'a1']] },
    from: 'shared',
    secrets: ['a1'],
  },
  {
    name: 'headers declared to be the credential',
    rest: 'auth: headers, headers: { X-Team: red }',
    credential: { type: 'headers', headers: [['X-Team', 'red']] },
    from: 'shared',
    secrets: ['red'],
  },
  {
    name: 'a token and a secret header',
    rest: 'token: abc, headers: { X-Api-Key: a1 }',
    credential: {
      type: 'headers',
      headers: [
        ['Authorization', 'Bearer abc'],
        ['X-Api-Key', 'a1'],
      ],
    },
    from: 'shared',
    secrets: ['abc', 'a1', 'Bearer abc'],
  },
  { name: 'passthrough', rest: 'auth: passthrough', credential: { type: 'passthrough' }, from: 'shared', secrets: [] },
];
for (const { name, rest, credential, from, secrets } of credentials) {
  test(`a credential is understood: ${name}`, () => {
    const config = validConfig({ config: file(rest) });
    const expected = { credential, credentialFrom: from };
    assert.deepEqual(pick(revealed(serverOf(config.servers, 'a')), expected), expected);
    assert.deepEqual((revealed(config.secrets) as string[]).toSorted(), (secrets as string[]).toSorted());
  });
}

const errors = [
  {
    name: 'an unknown kind',
    rest: 'auth: bearr',
    expected: '2:41 this kind of "auth" is not known | did you mean "bearer"?',
  },
  {
    name: 'a token in the place of the kind',
    rest: 'auth: sk-123',
    expected:
      '2:41 this kind of "auth" is not known | write none, bearer, basic, headers, hmac, oauth or passthrough; a token goes under "token"',
  },
  {
    name: 'basic without password',
    rest: 'auth: { type: basic, username: me }',
    expected: '2:49 basic authentication needs a user name and a password | write "username" and "password"',
  },
  {
    name: 'headers without headers',
    rest: 'auth: headers',
    expected: '2:41 "auth: headers" needs headers | write them under "headers"',
  },
  {
    name: 'none with a token',
    rest: 'auth: none, token: abc',
    expected: '2:41 "auth: none" and a credential contradict each other | delete one of the two',
  },
  {
    name: 'passthrough with a token',
    rest: 'auth: passthrough, token: abc',
    expected: '2:41 "auth: passthrough" and a credential contradict each other | delete one of the two',
  },
  {
    name: 'a token twice',
    rest: 'auth: { token: abc }, token: def',
    expected: '2:50 "token" is given twice | delete one',
  },
  {
    name: 'a token and a user name',
    rest: 'token: abc, username: me',
    expected: '2:42 a token and a user name contradict each other | delete one of the two',
  },
  {
    name: 'two values for Authorization',
    rest: 'token: abc, headers: { authorization: x }',
    expected: '2:42 there are two credentials for the Authorization header | delete one of the two',
  },
  {
    name: 'an empty token',
    rest: 'token: "${EMPTY}"',
    expected: '2:42 this value is empty | write it, or set the variable that it comes from',
  },
  {
    name: 'a token with a line break',
    rest: 'token: "a\\nb"',
    expected:
      '2:42 this value has a character that cannot stand in a header field | check it for line breaks and letters beyond ASCII',
  },
  {
    name: 'a header with a line break',
    rest: 'headers: { X-A: "a\\r\\nB: c" }',
    expected:
      '2:51 this value has a character that cannot stand in a header field | check it for line breaks and letters beyond ASCII',
  },
  {
    name: 'a header name with a blank',
    rest: 'headers: { "X A": a }',
    expected: '2:46 a header name has a character that header names cannot have | write letters, digits and "-"',
  },
  {
    name: 'a header twice',
    rest: 'headers: { X-A: a, x-a: b }',
    expected: '2:54 the header "x-a" is given twice | delete one; case makes no difference',
  },
  {
    name: 'a user name with a colon',
    rest: 'username: "m:e", password: x',
    expected: '2:45 a user name cannot have a colon, nor it or the password a control character | ',
  },
  {
    name: 'credentials without colon',
    rest: 'auth: { type: basic, credentials: abc }',
    expected: '2:69 "credentials" has no colon | write NAME:PASSWORD',
  },
  {
    name: 'a token from a variable that is not set',
    rest: 'auth: bearer, token: "${NOPE}"',
    expected: '2:57 the variable NOPE is not set | set NOPE in the environment, or write ${NOPE:-default}',
  },
];
for (const { name, rest, expected } of errors) {
  test(`a contradiction is told with place and remedy: ${name}`, () => {
    const { config, problems } = parseFiles({ config: file(rest), env: { EMPTY: '' } });
    assert.equal(config, undefined);
    assert.deepEqual(problems.map(oneLine), [`error ${expected}`]);
  });
}

test('headers that the transport sets are ignored with a warning', () => {
  const { config, problems } = parseFiles({ config: file('headers: { Content-Type: application/json, X-Team: red }') });
  assert.match(oneLine(problems[1] ?? assert.fail()), /the header "Content-Type" is set by mcproxy itself/);
  const expected = { headers: [['X-Team', 'red']], credential: { type: 'none' } };
  assert.deepEqual(pick(revealed(serverOf(config?.servers ?? new Map(), 'a')), expected), expected);
});

test('secrets are recognised by the names beside them', () => {
  const config = validConfig({
    config: `
servers:
  a: { url: "https://x.example/?api_key=in-url&team=red" }
  b:
    command: x
    args: [--token=in-option, --api-key, after-option, --verbose, plain, "Authorization: Bearer in-header", KEYBOARD=qwertz]
    env: { GITHUB_TOKEN: in-env, apiKey: in-camel, NODE_ENV: production, MONKEY: no }
`,
  });
  const secrets = ['in-url', 'in-option', 'after-option', 'Bearer in-header', 'in-header', 'in-env', 'in-camel'];
  assert.deepEqual((revealed(config.secrets) as string[]).toSorted(), secrets.toSorted());
});
