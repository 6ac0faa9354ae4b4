import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cameFromHere, outboundFields, OWN_VIA, type OutboundFields } from '../../src/upstream/outbound.ts';

const BASE: OutboundFields = {
  rawHeaders: [],
  connection: undefined,
  passthrough: false,
  credential: [],
  host: 'up.example:8080',
  requestId: 'r-1',
  traceparent: 't-1',
  body: 'none',
};
const OURS = ['Accept-Encoding', 'identity', 'Via', OWN_VIA, 'X-Request-Id', 'r-1', 'traceparent', 't-1'];

function fieldsFor(options: Partial<OutboundFields>): string[] {
  return outboundFields({ ...BASE, ...options });
}

test('order, spelling and repetition of what travels on are kept', () => {
  const rawHeaders = ['X-b', '1', 'accept', '*/*', 'X-B', '2', 'MCP-Session-Id', 's', 'Mcp-Param-Token', 'p'];
  rawHeaders.push('Idempotency-Key', 'i');
  assert.deepEqual(fieldsFor({ rawHeaders }), ['Host', 'up.example:8080', ...rawHeaders, ...OURS]);
});

const dropped = [
  'Host',
  'Content-Length',
  'Transfer-Encoding',
  'Connection',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Upgrade',
  'Expect',
  'Proxy-Authorization',
  'Proxy-Connection',
  'Proxy-Anything',
  'Cookie',
  'Cookie2',
  'Origin',
  'Referer',
  'Via',
  'Forwarded',
  'X-Forwarded',
  'X-Forwarded-For',
  'X-Forwarded-Anything',
  'X-Real-IP',
  'True-Client-IP',
  'Client-IP',
  'X-Cluster-Client-Ip',
  'X-Envoy-External-Client-IP',
  'Fastly-Client-IP',
  'X-Azure-ClientIP',
  'Remote-User',
  'X-Remote-Addr',
  'X-Original-URL',
  'X-Original-Forwarded-For',
  'X-Rewrite-URL',
  'CF-Ray',
  'Fly-Region',
  'CDN-Loop',
  'Sec-Fetch-Mode',
  'Access-Control-Request-Method',
  'HTTP2-Settings',
  'X-Request-ID',
  'Traceparent',
  'Accept-Encoding',
];
for (const name of dropped) {
  test(`${name} of the client stays here, also with passthrough`, () => {
    const rawHeaders = [name, 'theirs'];
    for (const passthrough of [false, true]) {
      assert.deepEqual(fieldsFor({ rawHeaders, passthrough }), ['Host', 'up.example:8080', ...OURS]);
    }
  });
}

const credentials = [
  'Authorization',
  'X-Api-Key',
  'ApiKey',
  'X-Auth-Token',
  'X-Access-Token',
  'X-Amz-Security-Token',
  'X-Secret',
  'X-Password',
  'X-Hub-Signature-256',
  'X-Session-Id',
  'X-Credential',
  'X-Goog-Authenticated-User-Email',
  'X-Functions-Key',
  'Ocp-Apim-Subscription-Key',
  'X-Goog-Iap-Jwt-Assertion',
  'X-MS-Client-Principal',
  'X-Bearer',
];
for (const name of credentials) {
  test(`${name} of the client travels on with passthrough only`, () => {
    const rawHeaders = [name, 'theirs'];
    assert.deepEqual(fieldsFor({ rawHeaders }), ['Host', 'up.example:8080', ...OURS]);
    assert.deepEqual(fieldsFor({ rawHeaders, passthrough: true }), ['Host', 'up.example:8080', ...rawHeaders, ...OURS]);
  });
}

for (const name of ['X_Api_Key', 'Mcp_Name', 'x_forwarded_for', 'X_Harmless']) {
  test(`${name} stays here, because a server may read it as another field`, () => {
    for (const passthrough of [false, true]) {
      assert.deepEqual(fieldsFor({ rawHeaders: [name, 'theirs'], passthrough }), ['Host', 'up.example:8080', ...OURS]);
    }
  });
}

test('what Connection names stays here, whatever its case', () => {
  const rawHeaders = ['X-Hop', '1', 'x-HOP', '2', 'X-Stays', '3'];
  const fields = fieldsFor({ rawHeaders, connection: 'keep-alive, x-hop ,' });
  assert.deepEqual(fields, ['Host', 'up.example:8080', 'X-Stays', '3', ...OURS]);
});

test('configured fields replace those of the client, whatever their case', () => {
  const credential = ['X-Tenant', 'ours', 'Authorization', 'Bearer ours'];
  const fields = fieldsFor({ rawHeaders: ['x-tenant', 'theirs', 'X-TENANT', 'theirs', 'A', 'b'], credential });
  assert.deepEqual(fields, ['Host', 'up.example:8080', 'A', 'b', ...credential, ...OURS]);
});

const bodies = [
  { body: 'none', fields: [] },
  { body: 'chunked', fields: ['Transfer-Encoding', 'chunked'] },
  { body: 0, fields: ['Content-Length', '0'] },
  { body: 5_000_000_000, fields: ['Content-Length', '5000000000'] },
] as const;
for (const { body, fields } of bodies) {
  test(`a body of ${body} is framed by us`, () => {
    const rawHeaders = ['Content-Length', '7', 'Transfer-Encoding', 'gzip, chunked'];
    assert.deepEqual(fieldsFor({ rawHeaders, body }), ['Host', 'up.example:8080', ...OURS, ...fields]);
  });
}

test('Via names the mcproxys on the way, this one last, and nobody else', () => {
  const others = ['1.1 mcproxy-0123456789ab', '1.1 mcproxy-ba9876543210'];
  const rawHeaders = ['Via', `1.1 proxy.example, ${others[0]}`, 'via', `2 cdn (x),${others[1]}`, 'X', 'y'];
  assert.deepEqual(fieldsFor({ rawHeaders }).slice(2, 8), [
    'X',
    'y',
    'Accept-Encoding',
    'identity',
    'Via',
    `${others.join(', ')}, ${OWN_VIA}`,
  ]);
});

test('a Via with the name of this process is recognised in any place', () => {
  assert.match(OWN_VIA, /^1\.1 mcproxy-[0-9a-f]{12}$/);
  for (const via of [OWN_VIA, `1.0 a,${OWN_VIA}`, `${OWN_VIA}, 1.1 b`]) assert.ok(cameFromHere(via), via);
  for (const via of [undefined, '', '1.1 mcproxy', `${OWN_VIA}0`, '1.1 mcproxy-0123456789ab'])
    assert.ok(!cameFromHere(via), via);
});
