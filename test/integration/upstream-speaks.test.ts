import assert from 'node:assert/strict';
import { after } from 'node:test';

import { isSpoken } from '../../src/upstream/speaks.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream, type Answer } from '../support/recording-upstream.ts';
import { remoteAt, type Remote } from '../support/remote-server.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const initialized = { protocolVersion: '2025-06-18', capabilities: {} };

/** A legacy server; `refused` is a credential that it does not take. */
function legacy(refused: string): Answer {
  return ({ request, response }) => {
    if (request.values('authorization')[0] === refused) return void response.writeHead(401).end();
    const { id, method } = request.json() as { id: unknown; method: string };
    if (method !== 'initialize') return void response.writeHead(400).end();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: initialized }));
  };
}

verifies('gateway.bridge.verdict', 'an old verdict is used once more while it is asked anew', async (t) => {
  let nowMs = 0;
  const upstream = await startUpstream(t, { answer: legacy('Bearer nobody') });
  const remote = await remoteAt(t, `${upstream.url}/mcp`);
  const dated: Remote = { ...remote, clock: { ...remote.clock, monotonicMs: () => nowMs } };
  assert.equal(await isSpoken(dated, 'legacy'), true);
  assert.equal(upstream.requests.length, 1);
  assert.equal(isSpoken(dated, 'legacy'), true, 'at once');

  upstream.answerWith(({ response }) => void response.writeHead(405).end());
  nowMs = 11 * 60_000;
  assert.equal(isSpoken(dated, 'legacy'), true, 'at once, though it is old');
  assert.equal(isSpoken(dated, 'legacy'), true);
  await waitFor(() => upstream.requests.length === 2);
  // It speaks nothing else either, so it is left to itself; but the answer is another one now.
  await waitFor(async () => (await isSpoken(dated, 'legacy')) && upstream.requests.length > 2);

  upstream.answerWith(({ response }) => void response.writeHead(503).end());
  nowMs = 22 * 60_000;
  await isSpoken(dated, 'legacy');
  assert.deepEqual(
    remote.diags.map(({ data }) => data),
    [
      { server: 'peer', legacy: true },
      { server: 'peer', legacy: false },
      { server: 'peer', modern: false },
      { server: 'peer', sse: false },
    ],
  );
});

verifies('gateway.bridge.verdict', 'a credential that is refused says nothing to another user who waits', async (t) => {
  const upstream = await startUpstream(t, { answer: legacy('Bearer alice') });
  const alice = await remoteAt(t, `${upstream.url}/mcp`, { fields: ['Authorization', 'Bearer alice'] });
  const credential = { fields: () => ['Authorization', 'Bearer bob'], signature: undefined };
  const bob: Remote = { ...alice, server: { ...alice.server }, credential };
  const [asAlice, asBob] = await Promise.all([isSpoken(alice, 'modern'), isSpoken(bob, 'modern')]);
  assert.equal(asAlice, true, 'unknown: the server itself shall say what is wrong');
  assert.equal(asBob, false);
  assert.equal(isSpoken(alice, 'modern'), false, 'what bob found out is known to all');
});
