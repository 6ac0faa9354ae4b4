import assert from 'node:assert/strict';
import { after } from 'node:test';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { POST, rpc, startProxied } from '../support/proxied-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { verifies } from '../support/verifies.ts';

const upstream = await startUpstream({ after });
const proxied = await startProxied({ after }, { servers: { up: `{ url: "${upstream.url}/mcp" }` } });
after(() => checkNothingLeft());

const LIST = { method: 'POST', body: rpc('tools/list') } as const;

const ids = [
  { name: 'a plain one', sent: 'client-id_1:2/3+4=5@6.7', isKept: true },
  { name: 'the longest', sent: 'x'.repeat(128), isKept: true },
  { name: 'one that is too long', sent: 'x'.repeat(129), isKept: false },
  { name: 'one with a space', sent: 'two words', isKept: false },
  { name: 'one that would break a line', sent: '"},{"', isKept: false },
  { name: 'one beyond ASCII', sent: 'é', isKept: false },
  { name: 'an empty one', sent: '', isKept: false },
];
for (const { name, sent, isKept } of ids) {
  verifies('guard.request-ids', `of request ids, ${name} is ${isKept ? 'kept' : 'replaced'}`, async () => {
    const answer = await send(`${proxied.url}/up/mcp`, { ...LIST, headers: { ...POST, 'x-request-id': sent } });
    const id = answer.header('x-request-id') ?? assert.fail('none came back');
    assert.equal(id === sent, isKept);
    assert.match(id, /^[\x21-\x7e]{1,128}$/);
    assert.deepEqual(upstream.requests.at(-1)?.values('x-request-id'), [id]);
    const found = proxied.app.entries().filter((entry) => entry['request_id'] === id);
    assert.ok(found.length >= 1);
  });
}

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
verifies('guard.request-ids', 'a trace goes on, and begins here when there is none to go on with', async () => {
  for (const sent of [TRACE, TRACE.toUpperCase(), '00-0-0-01', undefined]) {
    const given = { ...POST, ...(sent === undefined ? {} : { traceparent: sent }) };
    // oxlint-disable-next-line no-await-in-loop
    await send(`${proxied.url}/up/mcp`, { ...LIST, headers: given });
    const [up = ''] = upstream.requests.at(-1)?.values('traceparent') ?? [];
    assert.match(up, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
    assert.equal(up === sent, sent === TRACE);
  }
});
