/**
 * Signatures against the examples that the authors of each scheme published.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { coversBody, signatureFields, type HmacCredential } from '../../src/auth/signer.ts';
import { SIGNING_PRESETS, type SigningPreset } from '../../src/config/signing-presets.ts';
import { ProxyError } from '../../src/errors.ts';
import type { OutgoingRequest, SigningScheme } from '../../src/model.ts';
import { makeSecret } from '../../src/text/secret.ts';

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

function requestOf({ method = 'POST', path = '/mcp', query = '', headers = {}, ...rest }: Asked): OutgoingRequest {
  const { body } = { body: '', ...rest };
  return {
    method,
    path,
    query,
    scheme: 'https',
    host: 'example.com',
    body: body === undefined ? undefined : Buffer.from(body),
    header: (name) => headers[name],
  };
}

function credentialOf(scheme: SigningScheme, secret: string, keyId = 'key123'): HmacCredential {
  return { type: 'hmac', keyId, secret: makeSecret(secret), scheme };
}

interface Vector {
  readonly preset: SigningPreset;
  /** Where it was published. */
  readonly source: string;
  readonly secret: string;
  readonly keyId?: string;
  readonly asked: Asked;
  readonly wallMs: number;
  readonly id?: string;
  readonly fields: readonly string[];
}

const VECTORS: readonly Vector[] = [
  {
    preset: 'gocorestack',
    source: 'go-core-stack/mcp-auth-proxy, signer_test.go',
    secret: 'secret456',
    asked: { path: '/v1/test', query: '?foo=bar', body: 'not covered' },
    wallMs: Date.UTC(2023, 10, 14, 22, 13, 20, 500),
    fields: [
      'x-api-key-id',
      'key123',
      'x-timestamp',
      '2023-11-14T22:13:20Z',
      'x-signature',
      'd1bfbc31386e7c029a0c30216ff01f5ed337b6de4bb97ac539c7a7feec125d05',
    ],
  },
  {
    preset: 'github',
    source: 'GitHub documentation, Validating webhook deliveries',
    secret: "It's a Secret to Everybody",
    asked: { body: 'Hello, World!' },
    wallMs: 0,
    fields: ['X-Hub-Signature-256', 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'],
  },
  {
    preset: 'slack',
    source: 'Slack documentation, Verifying requests from Slack',
    secret: '8f742231b10e8888abcd99yyyzzz85a5',
    asked: {
      body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
    },
    wallMs: 1_531_420_618_000,
    fields: [
      'X-Slack-Request-Timestamp',
      '1531420618',
      'X-Slack-Signature',
      'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    ],
  },
  {
    preset: 'stripe',
    source: 'npm stripe 23.1.0, generateTestHeaderString',
    secret: 'whsec_test',
    asked: { body: '{"id":"evt_1"}' },
    wallMs: 1_614_265_330_999,
    fields: ['Stripe-Signature', 't=1614265330,v1=347e9afe3d74ec4c5cbefd270edc9246513ae3da7b375223e302560fbd4146eb'],
  },
  {
    preset: 'standard-webhooks',
    source: 'the Standard Webhooks specification',
    secret: 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    asked: { body: '{"test": 2432232314}' },
    wallMs: 1_614_265_330_000,
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    fields: [
      'webhook-id',
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp',
      '1614265330',
      'webhook-signature',
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    ],
  },
];

for (const { preset, source, secret, keyId, asked, wallMs, id = 'id', fields } of VECTORS) {
  test(`${preset} signs as published (${source})`, () => {
    const signed = signatureFields(credentialOf(SIGNING_PRESETS[preset], secret, keyId ?? 'key123'), requestOf(asked), {
      wallMs,
      id,
    });
    assert.deepEqual(signed, fields);
  });
}

test('the older form of gocorestack, with seconds, signs as published (generator_test.go)', () => {
  const scheme: SigningScheme = { ...SIGNING_PRESETS.gocorestack, timestamp: 'unix' };
  const asked = { path: '/api/service1/v1/scope/abc/test/test1' };
  const fields = signatureFields(credentialOf(scheme, 'mysupersecretcode'), requestOf(asked), {
    wallMs: 1_748_410_688_000,
    id: '',
  });
  assert.equal(fields.at(-1), '04a41d00f2f133c8746d11c7d3d5bfc547fc514b583e3798b1df2c9c09204461');
});

test('gocorestack signs the path with its escapes undone', () => {
  const sign = (path: string): string | undefined =>
    signatureFields(credentialOf(SIGNING_PRESETS.gocorestack, 's'), requestOf({ path }), { wallMs: 0, id: '' }).at(-1);
  assert.equal(sign('/a%20b'), sign('/a b'));
  assert.notEqual(sign('/a%20b'), sign('/a%2520b'));
});

test('HTTP Message Signatures sign as published (RFC 9421 B.2.5)', () => {
  const scheme: SigningScheme = {
    ...SIGNING_PRESETS.rfc9421,
    components: ['date', '@authority', 'content-type'],
    label: 'sig-b25',
  };
  const secret = 'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==';
  const headers = { date: 'Tue, 20 Apr 2021 02:07:55 GMT', 'content-type': 'application/json' };
  const fields = signatureFields(credentialOf(scheme, secret, 'test-shared-secret'), requestOf({ headers }), {
    wallMs: 1_618_884_473_000,
    id: '',
  });
  assert.deepEqual(fields, [
    'Signature-Input',
    'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    'Signature',
    'sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:',
  ]);
});

test('a digest of the body is sent with a signature that covers it (RFC 9530)', () => {
  const body = '{"hello": "world"}';
  const fields = signatureFields(credentialOf(SIGNING_PRESETS.rfc9421, 'AAAA'), requestOf({ body }), {
    wallMs: 0,
    id: '',
  });
  assert.equal(fields[0], 'Content-Digest');
  assert.equal(fields[1], 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:');
});

test('a field that the request does not have is not covered', () => {
  const fields = signatureFields(credentialOf(SIGNING_PRESETS.rfc9421, 'AAAA'), requestOf({ method: 'GET' }), {
    wallMs: 0,
    id: '',
  });
  assert.match(fields[3] ?? '', /^sig1=\("@method" "@authority" "@path" "@query" "content-digest"\);/);
});

test('a body that cannot be held is refused by what covers it, and no concern of what does not', () => {
  const unread = requestOf({ body: undefined });
  const moment = { wallMs: 0, id: '' };
  for (const preset of ['github', 'slack', 'stripe', 'standard-webhooks', 'rfc9421'] as const) {
    assert.ok(coversBody(SIGNING_PRESETS[preset]), preset);
    assert.throws(
      () => signatureFields(credentialOf(SIGNING_PRESETS[preset], 'AAAA'), unread, moment),
      (error) => error instanceof ProxyError && error.code === 'BODY_TOO_LARGE',
    );
  }
  assert.ok(!coversBody(SIGNING_PRESETS.gocorestack));
  assert.equal(signatureFields(credentialOf(SIGNING_PRESETS.gocorestack, 's'), unread, moment).length, 6);
});

test('a template may sign the digest of the body, or say that it is not signed', () => {
  const scheme: SigningScheme = {
    ...SIGNING_PRESETS.gocorestack,
    text: '{method}\n{path}\n{query}\n{host}\n{timestamp}\n{body_sha256}',
    headers: [['x-content-sha256', '{body_sha256}']],
    unsignedPayload: true,
  };
  const credential = credentialOf(scheme, 's');
  const moment = { wallMs: 0, id: '' };
  const digest = createHash('sha256').update('{}').digest('hex');
  assert.deepEqual(signatureFields(credential, requestOf({ body: '{}' }), moment), ['x-content-sha256', digest]);
  const unread = signatureFields(credential, requestOf({ body: undefined }), moment);
  assert.deepEqual(unread, ['x-content-sha256', 'UNSIGNED-PAYLOAD']);
});

test('the secret is not in what is sent', () => {
  for (const scheme of Object.values(SIGNING_PRESETS)) {
    const fields = signatureFields(credentialOf(scheme, 'c2VjcmV0LW1hcms='), requestOf({ body: 'x' }), {
      wallMs: 0,
      id: '',
    });
    assert.ok(!fields.join().includes('c2VjcmV0LW1hcms=') && !fields.join().includes('secret-mark'));
  }
});
