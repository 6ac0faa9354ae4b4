import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after } from 'node:test';
import { openStream, readUntil, send, type Answer } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { echo, startUpstream, type RecordedRequest } from '../support/recording-upstream.ts';
import { startApp } from '../support/start-app.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const TOKENS = { alice: 'alice-test-token-0123456789', bob: 'bob-test-token-0123456789' };
const digest = (token: string): string => createHash('sha256').update(token).digest('hex');
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

const upstream = await startUpstream({ after });
const app = await startApp(
  { after },
  {
    env: { ALICE_KEY: 'alice-from-environment' },
    files: {
      'mcproxy.yml': `
listen: 127.0.0.1:0
log: { file: access.log }
admin: { socket: admin.sock }
servers:
  shared: { url: "${upstream.url}/shared", token: shared-token }
  open: { url: "${upstream.url}/open" }
  pass: { url: "${upstream.url}/pass", auth: passthrough }
`,
      'tokens.yml': `
users:
  alice:
    token: sha256:${digest(TOKENS.alice)}
    servers:
      none: { url: "${upstream.url}/none", auth: none }
      bearer: { url: "${upstream.url}/bearer", token: "\${ALICE_KEY}" }
      basic: { url: "${upstream.url}/basic", username: alice, password: "pä ss:word" }
      headers: { url: "${upstream.url}/headers", headers: { X-Api-Key: key-of-alice, X-Tenant: seven } }
      own: { url: "${upstream.url}/own", headers: { Authorization: "Token own-of-alice" } }
      shared: { token: alice-token }
      pass: {}
  bob:
    token: sha256:${digest(TOKENS.bob)}
    servers: { shared: {}, open: {}, pass: { token: bob-has-one } }
`,
    },
  },
);
after(() => assert.deepEqual(upstream.failures, []));
after(() => checkNothingLeft());

/** Everything a client and the proxies before it may send and an upstream must not see. */
const PRIVATE = {
  cookie: 'session=client-cookie',
  'proxy-authorization': 'Basic client-proxy',
  'x-api-key': 'client-api-key',
  'x-auth-token': 'client-auth-token',
  'x-amz-security-token': 'client-security-token',
  'x-user-password': 'client-password',
  'x-hub-signature': 'client-signature',
};
const FORWARDING = {
  forwarded: 'for=192.0.2.1',
  via: '1.1 before',
  'x-forwarded-for': '192.0.2.1',
  'x-forwarded-host': 'inside.example',
  'x-forwarded-proto': 'https',
  'x-forwarded-client-cert': 'Subject=x',
  'x-real-ip': '192.0.2.1',
  'true-client-ip': '192.0.2.1',
  'cf-connecting-ip': '192.0.2.1',
  'x-envoy-external-client-ip': '192.0.2.1',
  'x-remote-user': 'root',
  'x-original-url': '/admin',
};
const HOP = {
  connection: 'keep-alive, X-Mine-Only, TE',
  'x-mine-only': 'client-hop',
  te: 'trailers',
  'keep-alive': 'timeout=9',
  'proxy-connection': 'keep-alive',
  upgrade: 'h2c',
  trailer: 'X-Late',
};
const BROWSER = {
  origin: 'http://localhost:1',
  referer: 'http://localhost:1/private',
  'sec-fetch-site': 'cross-site',
  dnt: '1',
};
/** What is meant for the upstream. */
const MEANT = {
  accept: 'application/json, text/event-stream',
  'content-type': 'application/json; charset=utf-8',
  'mcp-session-id': 'session-1',
  'mcp-protocol-version': '2025-11-25',
  'last-event-id': '7',
  'user-agent': 'test/1',
  'accept-language': 'de',
  'x-custom': 'kept',
};

async function ask(
  server: string,
  headers: Record<string, string> = {},
  user: keyof typeof TOKENS = 'alice',
): Promise<RecordedRequest> {
  const before = upstream.requests.length;
  const reply = await post(server, { authorization: `Bearer ${TOKENS[user]}`, ...headers });
  assert.equal(reply.status, 200, reply.text());
  const request = upstream.requests[before];
  assert.ok(request !== undefined && upstream.requests.length === before + 1);
  return request;
}

function post(server: string, headers: Record<string, string>): Promise<Answer> {
  const all = { 'content-type': 'application/json', ...headers };
  return send(`${app.url}/${server}/mcp`, { body: CALL, headers: all });
}

const basic = Buffer.from('alice:pä ss:word', 'utf8').toString('base64');
verifies('credentials.none', '`none` sends no credential', async () => {
  assert.deepEqual((await ask('none')).values('authorization'), []);
  assert.deepEqual((await ask('open', {}, 'bob')).values('authorization'), []);
});
verifies('credentials.bearer', '`bearer` sends the configured token', async () => {
  assert.deepEqual((await ask('bearer')).values('authorization'), ['Bearer alice-from-environment']);
});
verifies('credentials.basic', '`basic` sends name and password in UTF-8', async () => {
  assert.deepEqual((await ask('basic')).values('authorization'), [`Basic ${basic}`]);
});
verifies('credentials.headers', '`headers` sends them instead of those of the client', async () => {
  const request = await ask('headers', { 'x-api-key': 'client-api-key', 'x-tenant': 'eight' });
  assert.deepEqual(request.values('x-api-key'), ['key-of-alice']);
  assert.deepEqual(request.values('x-tenant'), ['seven']);
  assert.deepEqual(request.values('authorization'), []);
  assert.deepEqual((await ask('own')).values('authorization'), ['Token own-of-alice']);
});
verifies('credentials.user-before-shared', "a user's own credential goes before the shared one", async () => {
  assert.deepEqual((await ask('shared')).values('authorization'), ['Bearer alice-token']);
  assert.deepEqual((await ask('shared', {}, 'bob')).values('authorization'), ['Bearer shared-token']);
  assert.deepEqual((await ask('pass', {}, 'bob')).values('authorization'), ['Bearer bob-has-one']);
});

for (const server of ['none', 'bearer', 'basic', 'headers']) {
  verifies(
    [
      'credentials.no-client-credential-leaks',
      'credentials.no-cookie-leaks',
      'credentials.no-hop-by-hop-leaks',
      'credentials.no-forwarding-header-leaks',
    ],
    `only what is meant for the upstream reaches a server with ${server}`,
    async () => {
      const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
      const ours = { 'x-request-id': 'mine', traceparent: trace };
      const request = await ask(server, {
        ...PRIVATE,
        ...FORWARDING,
        ...HOP,
        ...BROWSER,
        ...MEANT,
        ...ours,
        'accept-encoding': 'gzip',
        expect: '100-continue',
      });
      const names = request.rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
      const credential = { none: [], headers: ['x-api-key', 'x-tenant'] }[server] ?? ['authorization'];
      const added = ['host', 'connection', 'content-length', 'accept-encoding', 'via', 'x-request-id', 'traceparent'];
      assert.deepEqual(names.toSorted(), [...Object.keys(MEANT), ...added, ...credential].toSorted());
      for (const [name, value] of Object.entries(MEANT)) assert.deepEqual(request.values(name), [value]);
      assert.deepEqual(request.values('host'), [`127.0.0.1:${upstream.port}`]);
      assert.match(request.values('via').join(), /^1\.1 mcproxy-[0-9a-f]{12}$/);
      assert.deepEqual(request.values('x-request-id'), ['mine']);
      assert.deepEqual(request.values('traceparent'), [trace]);
      const text = `${request.url} ${request.rawHeaders.join(' ')}`;
      assert.doesNotMatch(text, /client-|192\.0\.2\.1/);
      assert.ok(!text.includes(TOKENS.alice));
    },
  );
}

verifies(
  'credentials.passthrough',
  '`passthrough` sends the Authorization of the client untouched and names the caller by its digest',
  async () => {
    const token = 'sk-token-of-the-upstream';
    const headers = {
      ...PRIVATE,
      ...FORWARDING,
      ...HOP,
      ...BROWSER,
      ...MEANT,
      authorization: `bearer   ${token}`,
      'x-request-id': 'passed',
    };
    const before = upstream.requests.length;
    const reply = await post('pass', headers);
    assert.equal(reply.status, 200);
    const request = upstream.requests[before];
    assert.deepEqual(request?.values('authorization'), [`bearer   ${token}`]);
    assert.deepEqual(
      request?.values('x-api-key'),
      ['client-api-key'],
      'its other credentials are meant for this server',
    );
    const never = {
      ...FORWARDING,
      ...BROWSER,
      cookie: '',
      'proxy-authorization': '',
      'x-mine-only': '',
      te: '',
      upgrade: '',
    };
    const leaked = Object.keys(never).filter((name) => name !== 'via' && request?.values(name).length !== 0);
    assert.deepEqual(leaked, []);
    const entry = await waitFor(() => app.entries().find((each) => each['request_id'] === 'passed'));
    assert.equal((entry as Record<string, unknown>)['principal'], `passthrough:${digest(token).slice(0, 8)}`);
    assert.doesNotMatch(JSON.stringify(app.entries()), /sk-token/);
  },
);

verifies('credentials.passthrough', 'a passthrough token opens nothing else', async () => {
  const before = upstream.requests.length;
  for (const server of ['shared', 'open', 'bearer', 'nothing']) {
    // oxlint-disable-next-line no-await-in-loop
    assert.equal((await post(server, { authorization: 'Bearer sk-token-of-the-upstream' })).status, 401);
  }
  assert.equal((await post('pass', {})).status, 401, 'and without a token there is nothing to pass');
  assert.equal(upstream.requests.length, before);
});

verifies(
  'credentials.passthrough',
  'the token of mcproxy is refused at a passthrough server and not forwarded',
  async () => {
    const before = upstream.requests.length;
    const reply = await post('pass', { authorization: `Bearer ${TOKENS.alice}` });
    assert.equal(reply.status, 403);
    assert.match(reply.text(), /"ACCESS_DENIED"/);
    assert.match(reply.text(), /server pass takes its own token/);
    assert.equal(upstream.requests.length, before);
  },
);

verifies('credentials.passthrough', "a passthrough server's 401 passes with its challenge", async () => {
  const challenge = 'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource"';
  upstream.answerWith(({ response }) => void response.writeHead(401, { 'www-authenticate': challenge }).end('log in'));
  const reply = await post('pass', { authorization: 'Bearer sk-expired' });
  upstream.answerWith(echo);
  assert.equal(reply.status, 401);
  assert.equal(reply.header('www-authenticate'), challenge);
  assert.equal(reply.text(), 'log in');
});

const refusals = [
  { server: 'bearer', text: /server bearer refused the credential configured for user alice/ },
  { server: 'none', text: /server none asks for a credential and none is configured for user alice/ },
];
for (const { server, text } of refusals) {
  verifies(
    'credentials.refused-credential-502',
    `a 401 of the server with ${server} is 502 and names server and user`,
    async () => {
      upstream.answerWith(({ response }) => void response.writeHead(401, { 'www-authenticate': 'Bearer' }).end());
      const reply = await post(server, {
        authorization: `Bearer ${TOKENS.alice}`,
        'x-request-id': `refused-${server}`,
      });
      upstream.answerWith(echo);
      assert.equal(reply.status, 502);
      assert.equal(reply.header('www-authenticate'), undefined);
      assert.match(reply.text(), text);
      assert.match(reply.text(), /"UPSTREAM_CREDENTIAL"/);
      const entry = app.entries().find((each) => each['request_id'] === `refused-${server}`);
      assert.equal(entry?.['error_code'], 'UPSTREAM_CREDENTIAL');
      assert.equal(entry?.['outcome'], 'upstream_error');
    },
  );
}

verifies(
  ['credentials.no-cookie-leaks', 'credentials.no-hop-by-hop-leaks'],
  'cookies, hop-by-hop fields and what speaks for an origin stop on their way down',
  async () => {
    const kept = {
      'content-type': 'application/json',
      'mcp-session-id': 's',
      etag: '"1"',
      'cache-control': 'no-store',
    };
    const dropped = {
      'set-cookie': ['a=1', 'b=2'],
      'set-cookie2': 'c=3',
      'x-hop': 'named by Connection',
      connection: 'X-Hop, keep-alive',
      'proxy-authenticate': 'Basic',
      upgrade: 'h2c',
      trailer: 'X-Late',
      'strict-transport-security': 'max-age=9',
      'clear-site-data': '"*"',
      'alt-svc': 'h3=":443"',
      'www-authenticate': 'Bearer error="insufficient_scope"',
    };
    for (const type of ['application/json', 'text/event-stream']) {
      upstream.answerWith(({ response }) => {
        response.writeHead(200, { ...kept, ...dropped, 'content-type': type, 'x-request-id': 'theirs' });
        response.end(': x\n\n');
      });
      // oxlint-disable-next-line no-await-in-loop
      const reply = await post('open', { authorization: `Bearer ${TOKENS.bob}`, 'x-request-id': 'ours' });
      const names = reply.rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
      const leaked = names.filter((name) => Object.hasOwn(dropped, name) && name !== 'connection');
      assert.deepEqual(leaked, []);
      assert.doesNotMatch(reply.header('connection') ?? '', /x-hop/i);
      assert.equal(reply.header('x-request-id'), 'ours');
      for (const [name, value] of Object.entries({ ...kept, 'content-type': type }))
        assert.equal(reply.header(name), value);
    }
    upstream.answerWith(echo);
  },
);

verifies('credentials.no-client-credential-leaks', 'GET and DELETE carry the same fields as POST', async () => {
  upstream.answerWith(({ request, response }) => {
    if (request.method === 'GET') response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': x\n\n');
    else response.writeHead(200).end();
  });
  const headers = { ...PRIVATE, ...FORWARDING, accept: 'text/event-stream', authorization: `Bearer ${TOKENS.alice}` };
  const stream = await openStream(`${app.url}/bearer/mcp`, { headers });
  await readUntil(stream, (text) => text.endsWith('\n\n'));
  stream.close();
  await send(`${app.url}/bearer/mcp`, { method: 'DELETE', headers });
  upstream.answerWith(echo);
  for (const request of upstream.requests.slice(-2)) {
    assert.deepEqual(request.values('authorization'), ['Bearer alice-from-environment']);
    assert.doesNotMatch(request.rawHeaders.join(' '), /client-|192\.0\.2\.1/);
    assert.deepEqual([request.values('content-length'), request.values('transfer-encoding')], [[], []]);
  }
});
