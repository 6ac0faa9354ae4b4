import assert from 'node:assert/strict';
import { ProxyError } from '../../src/errors.ts';
import type { McpOutcome, McpPeer } from '../../src/mcp/waist.ts';
import { redactedPeer } from '../../src/upstream/redacted-peer.ts';
import type { PeerState } from '../../src/upstream/supervisor.ts';
import { SILENT } from '../support/gateway-world.ts';
import { request } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';

const SECRET = 'hidden-12345';
const redact = (text: string): string => text.replaceAll(SECRET, '[redacted]');
const tell = `it was ${SECRET}`;

const STATE: PeerState = {
  state: 'down',
  sinceMs: 0,
  era: undefined,
  revision: undefined,
  restarts: 0,
  lastError: tell,
  lastErrorCode: undefined,
  pid: undefined,
};

function peerThat(outcome: McpOutcome): McpPeer & { state(): PeerState } {
  const fails = (): Promise<never> => Promise.reject(new ProxyError('UPSTREAM_CLOSED', tell, { data: { a: 1 } }));
  return {
    describe: fails,
    call: () => ({ outcome: Promise.resolve(outcome), cancel: () => undefined }),
    onChange(listener) {
      listener({ kind: 'lost', reason: tell });
      return () => undefined;
    },
    subscribe: fails,
    unsubscribe: fails,
    listenTasks: fails,
    state: () => STATE,
    close: () => Promise.resolve(),
  };
}

const call = (outcome: McpOutcome): Promise<McpOutcome> =>
  redactedPeer(peerThat(outcome), redact).call(request('tools/call', {}), SILENT).outcome;

verifies('secrets.upstream-errors', 'what a server says when it fails holds no secret of the operator', async () => {
  const cases: [string, McpOutcome, McpOutcome][] = [
    [
      'an error',
      { kind: 'error', code: 1, message: tell, data: { [SECRET]: [tell, 1, null, { a: true }] } },
      {
        kind: 'error',
        code: 1,
        message: 'it was [redacted]',
        data: { '[redacted]': ['it was [redacted]', 1, null, { a: true }] },
      },
    ],
    [
      'a result that says that it is an error',
      { kind: 'complete', result: { isError: true, content: [{ type: 'text', text: tell }] } },
      { kind: 'complete', result: { isError: true, content: [{ type: 'text', text: 'it was [redacted]' }] } },
    ],
  ];
  for (const [name, outcome, expected] of cases) {
    // oxlint-disable-next-line no-await-in-loop
    assert.deepEqual(await call(outcome), expected, name);
  }
  const peer = redactedPeer(peerThat({ kind: 'complete', result: {} }), redact);
  for (const asked of [peer.describe(), peer.subscribe('a:b'), peer.unsubscribe('a:b')]) {
    // oxlint-disable-next-line no-await-in-loop
    await assert.rejects(asked, { code: 'UPSTREAM_CLOSED', message: 'it was [redacted]', data: { a: 1 } });
  }
  const lost: unknown[] = [];
  peer.onChange((event) => lost.push(event));
  assert.deepEqual(lost, [{ kind: 'lost', reason: 'it was [redacted]' }]);
  assert.equal(peer.state().lastError, 'it was [redacted]');
});

verifies(
  'secrets.upstream-errors',
  'what holds no secret, and what a successful call brings, stays the same object',
  async () => {
    const deep = JSON.parse('['.repeat(20_000) + ']'.repeat(20_000)) as unknown;
    for (const outcome of [
      { kind: 'complete', result: { content: [{ type: 'text', text: tell }] } },
      { kind: 'complete', result: { isError: true, content: [] } },
      { kind: 'complete', result: { isError: true, deep } },
    ] satisfies McpOutcome[]) {
      // oxlint-disable-next-line no-await-in-loop
      assert.equal(await call(outcome), outcome);
    }
    const error = { kind: 'error', code: 1, message: 'm', data: { deep } } satisfies McpOutcome;
    assert.deepEqual(await call({ ...error, data: undefined }), { ...error, data: undefined });
    assert.equal(((await call(error)) as typeof error).data, error.data);
  },
);
