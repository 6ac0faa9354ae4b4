import assert from 'node:assert/strict';
import { after } from 'node:test';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { digestOf, errorOf, rpc, startProxied, TOKEN } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';

const upstream = await startUpstream({ after });
const PLAIN = 'a-plain-token-of-bob-0123456789';
const ODD = {
  constructor: 'token-of-constructor-0123456789',
  toString: 'token-of-toString-0123456789',
  proto: 'token-of-proto-0123456789',
};
const server = `{ url: "${upstream.url}/mcp" }`;
const TOKENS = `
users:
  alice: { token: "${digestOf(TOKEN)}", servers: { up: ${server} } }
  bob: { token: "${PLAIN}", servers: { up: ${server} } }
  constructor: { token: "${digestOf(ODD.constructor)}", servers: { up: ${server}, constructor: ${server} } }
  __proto__: { token: "${digestOf(ODD.proto)}", servers: { up: ${server}, __proto__: ${server} } }
  toString: { token: "${digestOf(ODD.toString)}", servers: {} }
`;
const proxied = await startProxied(
  { after },
  { servers: {}, tokens: TOKENS, settings: 'trusted_proxies: [127.0.0.1]\n' },
);
const [nobody, everybody] = await Promise.all([
  startProxied({ after }, { servers: {}, tokens: 'users: {}\n' }),
  startProxied({ after }, { servers: {}, tokens: 'users: {}\n', settings: `auth: none\nservers: { up: ${server} }\n` }),
]);
after(() => checkNothingLeft());

const CALL = { method: 'POST', body: rpc('tools/list') } as const;

let askedCount = 0;

/** Each from an address of its own, so that the many wrong tokens of one address do not have to wait. */
function asking(authorization: string | undefined): Record<string, string> {
  askedCount += 1;
  const from = { 'x-forwarded-for': `10.0.0.${askedCount}` };
  return { 'content-type': 'application/json', ...from, ...(authorization === undefined ? {} : { authorization }) };
}

const known = [
  { name: 'a token stored as a digest', authorization: `Bearer ${TOKEN}`, principal: 'alice' },
  { name: 'a token stored in plain text', authorization: `Bearer ${PLAIN}`, principal: 'bob' },
  { name: 'the scheme in any case', authorization: `bEARER   ${TOKEN}`, principal: 'alice' },
  { name: 'a user named constructor', authorization: `Bearer ${ODD.constructor}`, principal: 'constructor' },
  { name: 'a user named __proto__', authorization: `Bearer ${ODD.proto}`, principal: '__proto__' },
];
for (const { name, authorization, principal } of known) {
  verifies('identity.digest-lookup', `${name} lets its user in`, async () => {
    const { answer, entry } = await proxied.ask('/up/mcp', { ...CALL, headers: asking(authorization) });
    assert.equal(answer.status, 200);
    assert.equal(entry['principal'], principal);
    assert.equal(entry['outcome'], 'ok');
  });
}

const UNKNOWN = {
  ids: ['identity.unknown-401'],
  code: 'AUTH_INVALID',
  challenge: /^Bearer realm="mcproxy", error="invalid_token", error_description="[^"]+"$/,
  text: /ask the operator/,
} as const;
const MALFORMED = { ...UNKNOWN, ids: ['identity.malformed-401'] } as const;
const MISSING = {
  ids: ['identity.missing-401'],
  code: 'AUTH_MISSING',
  challenge: /^Bearer realm="mcproxy"$/,
  text: /Authorization: Bearer TOKEN/,
} as const;

const refused = [
  { name: 'no token', authorization: undefined, ...MISSING },
  { name: 'a token that nobody has', authorization: 'Bearer nobody-has-this-token', ...UNKNOWN },
  { name: 'a token with more behind it', authorization: `Bearer ${TOKEN}x`, ...UNKNOWN },
  { name: 'a token cut short', authorization: `Bearer ${TOKEN.slice(0, -1)}`, ...UNKNOWN },
  { name: 'a digest instead of its token', authorization: `Bearer ${digestOf(TOKEN).slice(7)}`, ...UNKNOWN },
  { name: 'the name of a member of every object', authorization: 'Bearer constructor', ...UNKNOWN },
  { name: 'nothing after the scheme', authorization: 'Bearer', ...MALFORMED },
  { name: 'an empty field', authorization: '', ...MALFORMED },
  { name: 'another scheme', authorization: `Basic ${TOKEN}`, ...MALFORMED },
  { name: 'the stored form', authorization: `Bearer ${digestOf(TOKEN)}`, ...MALFORMED },
  { name: 'two tokens', authorization: `Bearer ${TOKEN} ${TOKEN}`, ...MALFORMED },
  { name: 'a list', authorization: `Bearer ${TOKEN}, Bearer ${PLAIN}`, ...MALFORMED },
  { name: 'a token longer than its bound', authorization: `Bearer ${'x'.repeat(5_000)}`, ...MALFORMED },
];
for (const each of refused) {
  const ids = [...each.ids, 'identity.refused-not-forwarded', 'identity.refused-one-entry'] as const;
  verifies(ids, `${each.name} is 401 with a challenge, reaches nobody and is one entry`, async () => {
    const before = upstream.requests.length;
    const { answer, entry } = await proxied.ask('/up/mcp', { ...CALL, headers: asking(each.authorization) });
    assert.equal(answer.status, 401);
    assert.match(answer.header('www-authenticate') ?? '', each.challenge);
    assert.equal(answer.header('content-type'), 'application/json');
    const error = errorOf(answer);
    assert.match(error.message, each.text);
    assert.equal(error.data['code'], each.code);
    assert.equal(upstream.requests.length, before);
    assert.equal(entry['error_code'], each.code);
    assert.equal(entry['http_status'], 401);
    assert.equal(entry['outcome'], 'client_error');
    assert.equal(entry['principal'], null);
    assert.equal(entry['attempts'], 0);
  });
}

verifies(
  ['identity.unknown-401', 'identity.malformed-401'],
  'unknown and malformed tokens get the same body',
  async () => {
    const bodies = ['Bearer nobody', 'nonsense', `Bearer ${'x'.repeat(5_000)}`].map(async (authorization) => {
      const headers = { ...asking(authorization), 'x-request-id': 'same' };
      return (await send(`${proxied.url}/up/mcp`, { ...CALL, headers })).text();
    });
    assert.equal(new Set(await Promise.all(bodies)).size, 1);
  },
);

verifies('identity.missing-401', 'a path that leads nowhere tells nothing to who has no token', async () => {
  for (const path of ['/', '/mcp', '/nowhere/mcp', '/up/mcp', '/up/sse', '/metrics', '/status', '/ui']) {
    // oxlint-disable-next-line no-await-in-loop
    assert.equal((await send(`${proxied.url}${path}`)).status, 401, path);
  }
});

verifies('identity.digest-lookup', 'names of members that every object has lead to no server', async () => {
  const tokens = [TOKEN, ODD.toString];
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf']) {
    for (const token of tokens) {
      // oxlint-disable-next-line no-await-in-loop
      const { answer } = await proxied.ask(`/${name}/mcp`, { ...CALL, headers: asking(`Bearer ${token}`) });
      assert.equal(answer.status, 404, name);
    }
  }
  const own = [
    ['/constructor/mcp', ODD.constructor],
    ['/__proto__/mcp', ODD.proto],
  ] as const;
  for (const [path, token] of own) {
    // oxlint-disable-next-line no-await-in-loop
    const { answer } = await proxied.ask(path, { ...CALL, headers: asking(`Bearer ${token}`) });
    assert.equal(answer.status, 200, path);
  }
});

verifies(
  ['identity.no-users', 'identity.refused-one-entry'],
  'without users everybody is 401 and told how to add one',
  async () => {
    for (const [authorization, code] of [
      [undefined, 'AUTH_MISSING'],
      [`Bearer ${TOKEN}`, 'AUTH_INVALID'],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop
      const { answer, entry } = await nobody.ask('/up/mcp', { ...CALL, headers: asking(authorization) });
      assert.equal(answer.status, 401);
      assert.match(answer.header('www-authenticate') ?? '', /^Bearer realm=/);
      assert.match(errorOf(answer).message, /mcproxy token add/);
      assert.equal(entry['error_code'], code);
    }
  },
);

verifies('identity.anonymous', 'with `auth: none` everybody is anonymous, whatever they send', async () => {
  for (const authorization of [undefined, `Bearer ${TOKEN}`, 'nonsense']) {
    // oxlint-disable-next-line no-await-in-loop
    const { answer, entry } = await everybody.ask('/up/mcp', { ...CALL, headers: asking(authorization) });
    assert.equal(answer.status, 200);
    assert.equal(entry['principal'], 'anonymous');
    assert.deepEqual(upstream.requests.at(-1)?.values('authorization'), []);
  }
});
