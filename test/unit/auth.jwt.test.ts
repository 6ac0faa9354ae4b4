/**
 * JWT verification against the examples of the RFCs, against tokens of real keys, and against forgeries.
 */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { checkClaims, looksLikeJwt, readJwks, verifyJws } from '../../src/auth/jwt.ts';

interface Example {
  readonly source: string;
  readonly jwk: Readonly<Record<string, string>>;
  readonly token: string;
}

const EXAMPLES: readonly Example[] = [
  {
    source: 'RFC 7515 A.2 (RS256)',
    jwk: {
      kty: 'RSA',
      n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
      e: 'AQAB',
    },
    token:
      'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw',
  },
  {
    source: 'RFC 7515 A.3 (ES256)',
    jwk: {
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    },
    token:
      'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
  },
];

for (const { source, jwk, token } of EXAMPLES) {
  test(`the example of ${source} is verified, and not with a bit changed`, () => {
    const keys = readJwks({ keys: [jwk] });
    const verdict = verifyJws(token, keys);
    assert.equal(verdict.kind, 'signed');
    assert.equal(verdict.kind === 'signed' && verdict.claims['iss'], 'joe');
    const [head = '', body = '', signature = ''] = token.split('.');
    const other = `${body.slice(0, -1)}${body.endsWith('A') ? 'B' : 'A'}`;
    assert.notEqual(verifyJws(`${head}.${other}.${signature}`, keys).kind, 'signed');
    assert.notEqual(verifyJws(`${head}.${body}.${signature.slice(0, -4)}AAAA`, keys).kind, 'signed');
    assert.notEqual(verifyJws(`${head}.${body}.`, keys).kind, 'signed');
  });
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const CLAIMS = { iss: 'https://issuer.example', aud: 'https://mcp.example/mcp', exp: 2_000, sub: 'alice' };

function tokenOf(header: Readonly<Record<string, unknown>>, signer: (data: Buffer) => Buffer): string {
  const text = `${part(header)}.${part(CLAIMS)}`;
  return `${text}.${signer(Buffer.from(text)).toString('base64url')}`;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const ed448 = generateKeyPairSync('ed448');
const jwkOf = (key: KeyObject, more: Readonly<Record<string, unknown>>): unknown => ({
  ...key.export({ format: 'jwk' }),
  ...more,
});
const KEYS = readJwks({
  keys: [
    jwkOf(rsa.publicKey, { kid: 'r' }),
    jwkOf(ec.publicKey, { kid: 'e' }),
    jwkOf(ed.publicKey, { kid: 'd' }),
    jwkOf(ed448.publicKey, { kid: 'g' }),
  ],
});
const rs256 = (data: Buffer): Buffer => sign('sha256', data, rsa.privateKey);

for (const { alg, kid, signer } of [
  { alg: 'RS256', kid: 'r', signer: rs256 },
  {
    alg: 'PS256',
    kid: 'r',
    signer: (data: Buffer) => sign('sha256', data, { key: rsa.privateKey, padding: 6, saltLength: 32 }),
  },
  {
    alg: 'ES256',
    kid: 'e',
    signer: (data: Buffer) => sign('sha256', data, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
  },
  { alg: 'EdDSA', kid: 'd', signer: (data: Buffer) => sign(null, data, ed.privateKey) },
  { alg: 'Ed25519', kid: 'd', signer: (data: Buffer) => sign(null, data, ed.privateKey) },
  { alg: 'EdDSA', kid: 'g', signer: (data: Buffer) => sign(null, data, ed448.privateKey) },
  { alg: 'Ed448', kid: 'g', signer: (data: Buffer) => sign(null, data, ed448.privateKey) },
]) {
  test(`${alg} is verified by its key ${kid}, and by no other`, () => {
    const token = tokenOf({ alg, kid, typ: 'at+jwt' }, signer);
    assert.ok(looksLikeJwt(token));
    assert.equal(verifyJws(token, KEYS).kind, 'signed');
    const others = KEYS.filter((key) => key.kid !== kid);
    assert.equal(verifyJws(token, others).kind, 'unknown-key');
    assert.notEqual(verifyJws(tokenOf({ alg, kid: 'x' }, signer), KEYS).kind, 'signed');
  });
}

const publicPem = rsa.publicKey.export({ format: 'pem', type: 'spki' }).toString();
const FORGERIES: readonly { name: string; token: string }[] = [
  { name: 'without a signature', token: tokenOf({ alg: 'none' }, () => Buffer.alloc(0)) },
  {
    name: 'signed with the public key as a shared secret',
    token: tokenOf({ alg: 'HS256', kid: 'r' }, (data) => createHmac('sha256', publicPem).update(data).digest()),
  },
  { name: 'of another family than its key', token: tokenOf({ alg: 'ES256', kid: 'r' }, rs256) },
  {
    name: 'with the name of another curve',
    token: tokenOf({ alg: 'Ed448', kid: 'd' }, (data) => sign(null, data, ed.privateKey)),
  },
  { name: 'with an extension that has to be known', token: tokenOf({ alg: 'RS256', kid: 'r', crit: ['b64'] }, rs256) },
  { name: 'of another type', token: tokenOf({ alg: 'RS256', kid: 'r', typ: 'logout+jwt' }, rs256) },
  { name: 'with an inherited name as algorithm', token: tokenOf({ alg: 'toString', kid: 'r' }, rs256) },
  { name: 'that is long', token: `${part({ alg: 'RS256' })}.${'A'.repeat(10_000)}.AAAA` },
  { name: 'that is none', token: 'mcp_abcdefghijklmnop' },
  { name: 'whose parts are no JSON', token: 'AAAA.AAAA.AAAA' },
];

for (const { name, token } of FORGERIES) {
  test(`a token ${name} is invalid`, () => {
    assert.equal(verifyJws(token, KEYS).kind, 'invalid');
  });
}

for (const { said, allowed } of [
  { said: 'Ed25519', allowed: ['Ed25519'] },
  { said: 'EdDSA', allowed: ['EdDSA'] },
  { said: undefined, allowed: ['Ed25519', 'EdDSA'] },
]) {
  test(`a key whose set says ${said ?? 'no algorithm'} is used for ${allowed.join(' and ')} alone`, () => {
    const keys = readJwks({ keys: [jwkOf(ed.publicKey, { kid: 'd', ...(said && { alg: said }) })] });
    assert.deepEqual(keys[0]?.algorithms, allowed);
    for (const alg of ['Ed25519', 'EdDSA', 'Ed448']) {
      const verdict = verifyJws(
        tokenOf({ alg, kid: 'd' }, (data) => sign(null, data, ed.privateKey)),
        keys,
      );
      assert.equal(verdict.kind, allowed.includes(alg) ? 'signed' : 'invalid');
    }
  });
}

test('a DER signature in place of the JOSE form is invalid', () => {
  const token = tokenOf({ alg: 'ES256', kid: 'e' }, (data) => sign('sha256', data, ec.privateKey));
  assert.equal(verifyJws(token, KEYS).kind, 'invalid');
});

test('a key set keeps what can verify, with the algorithms that each key allows', () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const keys = readJwks({
    keys: [
      jwkOf(rsa.publicKey, { kid: 'only', alg: 'PS256' }),
      jwkOf(rsa.publicKey, { kid: 'encryption', use: 'enc' }),
      jwkOf(rsa.publicKey, { kid: 'wrapping', key_ops: ['wrapKey'] }),
      jwkOf(ec.publicKey, { kid: 'mismatch', alg: 'RS256' }),
      jwkOf(weak.publicKey, { kid: 'weak' }),
      { kty: 'oct', k: 'AAAA', kid: 'shared' },
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'broken' },
      'nothing',
    ],
  });
  assert.deepEqual(
    keys.map(({ kid, algorithms }) => [kid, algorithms]),
    [['only', ['PS256']]],
  );
  assert.equal(verifyJws(tokenOf({ alg: 'RS256', kid: 'only' }, rs256), keys).kind, 'invalid');
  assert.deepEqual(readJwks('nothing'), []);
});

const EXPECTED = { issuer: CLAIMS.iss, audiences: ['https://other.example', CLAIMS.aud] };
const NOW_MS = 1_000_000;
for (const { name, change, says } of [
  { name: 'as they should be', change: {}, says: undefined },
  { name: 'with several audiences', change: { aud: ['x', CLAIMS.aud] }, says: undefined },
  { name: 'of another issuer', change: { iss: 'https://issuer.example/' }, says: /issuer/ },
  { name: 'without an issuer', change: { iss: undefined }, says: /issuer/ },
  { name: 'for somebody else', change: { aud: 'https://mcp.example' }, says: /aud/ },
  { name: 'for nobody', change: { aud: undefined }, says: /aud/ },
  { name: 'without an end', change: { exp: undefined }, says: /exp/ },
  { name: 'with an end that is no number', change: { exp: '2000' }, says: /exp/ },
  { name: 'that ended just now', change: { exp: 999 }, says: undefined },
  { name: 'that ended', change: { exp: 900 }, says: /expired/ },
  { name: 'that begin just now', change: { nbf: 1_030 }, says: undefined },
  { name: 'that begin later', change: { nbf: 1_100 }, says: /nbf/ },
  { name: 'with a beginning that is no number', change: { nbf: 'x' }, says: /nbf/ },
]) {
  test(`claims ${name} are ${says === undefined ? 'accepted' : 'refused'}`, () => {
    const found = checkClaims({ ...CLAIMS, ...change }, EXPECTED, NOW_MS);
    if (says === undefined) assert.equal(found, undefined);
    else assert.match(found ?? '', says);
  });
}
