/**
 * `auth` with `type: hmac` as operators write it: what it becomes, and what is wrong with it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SIGNING_PRESETS } from '../../src/config/signing-presets.ts';
import type { Credential } from '../../src/model.ts';
import { parseFiles } from '../support/parse-files.ts';

function read(auth: string): { credential: Credential | undefined; problems: string[] } {
  const { config, problems } = parseFiles({
    config: `auth: none\nservers:\n  s:\n    url: http://127.0.0.1:1/mcp\n    auth: ${auth}\n`,
  });
  const server = config?.servers.get('s');
  return {
    credential: server?.kind === 'http' ? server.credential : undefined,
    problems: problems.filter(({ severity }) => severity === 'error').map(({ text }) => text),
  };
}

function hmacOf(auth: string): Extract<Credential, { type: 'hmac' }> {
  const { credential, problems } = read(auth);
  assert.deepEqual(problems, []);
  assert.ok(credential?.type === 'hmac');
  return credential;
}

test('the default is gocorestack, with a key and a secret that is not shown', () => {
  const credential = hmacOf('{ type: hmac, key_id: key123, secret: secret456 }');
  assert.deepEqual(credential.scheme, SIGNING_PRESETS.gocorestack);
  assert.equal(credential.keyId, 'key123');
  assert.equal(credential.secret.reveal(), 'secret456');
  assert.ok(!JSON.stringify(credential).includes('secret456'));
});

test('each preset is taken as it is, and whsec_ is no part of the key', () => {
  for (const preset of ['github', 'slack', 'stripe', 'standard-webhooks', 'rfc9421'] as const) {
    const { scheme, secret } = hmacOf(`{ type: hmac, preset: ${preset}, key_id: k, secret: whsec_c2VjcmV0LWtleQ== }`);
    assert.deepEqual(scheme, SIGNING_PRESETS[preset]);
    assert.equal(secret.reveal(), preset === 'standard-webhooks' ? 'c2VjcmV0LWtleQ==' : 'whsec_c2VjcmV0LWtleQ==');
  }
});

test('every part of a preset may be written differently', () => {
  const { scheme } = hmacOf(
    '{ type: hmac, secret: c2VjcmV0, secret_encoding: base64, algorithm: sha512, encoding: base64, timestamp: unix_ms, ' +
      'string: "{method}\\n{path}\\n{timestamp}\\n{body_sha256}", headers: { X-Sign: "v1={signature}", X-Time: "{timestamp}" }, ' +
      'unsigned_payload: true }',
  );
  assert.deepEqual(scheme, {
    kind: 'template',
    algorithm: 'sha512',
    secretEncoding: 'base64',
    encoding: 'base64',
    timestamp: 'unix_ms',
    text: '{method}\n{path}\n{timestamp}\n{body_sha256}',
    headers: [
      ['X-Sign', 'v1={signature}'],
      ['X-Time', '{timestamp}'],
    ],
    unsignedPayload: true,
  });
});

const WRONG: readonly { name: string; auth: string; says: RegExp }[] = [
  { name: 'no secret', auth: '{ type: hmac, key_id: k }', says: /needs a secret/ },
  { name: 'an empty secret', auth: '{ type: hmac, key_id: k, secret: "" }', says: /^the secret is empty$/ },
  { name: 'no key where it is named', auth: '{ type: hmac, secret: s-e-c-r-e-t }', says: /names its key/ },
  { name: 'a key with a quote', auth: `{ type: hmac, key_id: 'a"b', secret: s3cret }`, says: /visible ASCII/ },
  { name: 'an unknown preset', auth: '{ type: hmac, preset: githup, secret: s3cret }', says: /preset/ },
  {
    name: 'an unknown part',
    auth: '{ type: hmac, key_id: k, secret: s3cret, string: "{metod}" }',
    says: /\{metod\}/,
  },
  {
    name: 'a signature in what is signed',
    auth: '{ type: hmac, key_id: k, secret: s3cret, string: "{signature}" }',
    says: /\{signature\}/,
  },
  {
    name: 'fields without the signature',
    auth: '{ type: hmac, secret: s3cret, headers: { X-Time: "{timestamp}" } }',
    says: /carries the signature/,
  },
  {
    name: 'a body in a field',
    auth: '{ type: hmac, secret: s3cret, headers: { X-A: "{body}{signature}" } }',
    says: /\{body\}/,
  },
  {
    name: 'a field of the connection',
    auth: '{ type: hmac, secret: s3cret, headers: { Content-Length: "{signature}" } }',
    says: /name of a header field/,
  },
  {
    name: 'components of another preset',
    auth: '{ type: hmac, key_id: k, secret: s3cret, components: ["@method"] }',
    says: /does not go with this preset/,
  },
  {
    name: 'a component that no request has',
    auth: '{ type: hmac, preset: rfc9421, key_id: k, secret: AAAA, components: ["@status"] }',
    says: /cannot be covered/,
  },
  {
    name: 'a secret in another form',
    auth: '{ type: hmac, preset: standard-webhooks, secret: "whsec_not base64!" }',
    says: /form base64/,
  },
];

for (const { name, auth, says } of WRONG) {
  test(`${name} is a problem that does not show the secret`, () => {
    const { problems } = read(auth);
    assert.match(problems.join('\n'), says);
    assert.ok(!/s3cret|s-e-c-r-e-t|not base64/.test(problems.join('\n')));
  });
}

test('a secret or a key whose variable is not set is not missing as well', () => {
  assert.deepEqual(read('{ type: hmac, key_id: "${NO_KEY}", secret: "${NO_SECRET}" }').problems, [
    'the variable NO_KEY is not set',
    'the variable NO_SECRET is not set',
  ]);
});

test('a signature and a token contradict each other', () => {
  const { problems } = parseFiles({
    config:
      'auth: none\nservers:\n  s: { url: "http://127.0.0.1:1/mcp", token: t0ken123, auth: { type: hmac, key_id: k, secret: s3cret } }\n',
  });
  assert.match(problems.map(({ text }) => text).join(), /contradict/);
});
