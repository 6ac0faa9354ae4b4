import assert from 'node:assert/strict';
import { after } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import { errorOf, startProxied } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';

const elsewhere = await startUpstream({ after });
const upstream = await startUpstream({ after });
const proxied = await startProxied(
  { after },
  { servers: { up: `{ url: "${upstream.url}/mcp", token: the-credential-of-alice }` } },
);
after(() => checkNothingLeft());

const redirects = [301, 302, 303, 307, 308].flatMap((status) => [
  { status, location: `${elsewhere.url}/new?key=hidden`, to: `${elsewhere.url}/new` },
  { status, location: '/mcp/', to: `${upstream.url}/mcp/` },
]);
const odd = [
  { status: 302, location: `http://user:hidden@127.0.0.1:1/x`, to: 'http://127.0.0.1:1/x' },
  { status: 302, location: 'http://[', to: 'an invalid URL' },
  { status: 300, location: '/x', to: `${upstream.url}/x` },
];
for (const { status, location, to } of [...redirects, ...odd]) {
  verifies(
    'retries.protocol',
    `${status} to ${location.replace(/:\d+/, '')} is 502 that names the place and follows nowhere`,
    async () => {
      upstream.answerWith(({ response }) => void response.writeHead(status, { location }).end('moved'));
      const before = upstream.requests.length;
      const { answer, entry } = await proxied.call('up', 'tools/list');
      assert.equal(answer.status, 502);
      assert.equal(answer.header('location'), undefined);
      assert.equal(errorOf(answer).message, `server up redirects to ${to}; set its url to where it really is`);
      assert.doesNotMatch(answer.text() + JSON.stringify(entry), /hidden/);
      assert.equal(entry['error_code'], 'UPSTREAM_PROTOCOL');
      assert.equal(entry['attempts'], 1);
      assert.equal(upstream.requests.length, before + 1);
      assert.equal(elsewhere.requests.length, 0);
    },
  );
}

verifies('retries.protocol', 'a 3xx that leads nowhere is passed on', async () => {
  for (const [status, headers] of [
    [304, { location: '/x', etag: '"a"' }],
    [300, {}],
  ] as const) {
    upstream.answerWith(({ response }) => void response.writeHead(status, headers).end());
    // oxlint-disable-next-line no-await-in-loop
    const { answer, entry } = await proxied.call('up', 'tools/list');
    assert.equal(answer.status, status);
    assert.equal(entry['error_code'], null);
  }
});
