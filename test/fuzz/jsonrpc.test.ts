import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { classifyHttp } from '../../src/mcp/classify.ts';
import { errorResponse, parseMessage, result } from '../../src/mcp/jsonrpc.ts';
import { META, REVISIONS } from '../../src/mcp/protocol.ts';

const id = fc.oneof(fc.string(), fc.maxSafeInteger());
const anyId = fc.oneof(id, fc.constantFrom(null, 1.5, 2 ** 60, true));
const revision = fc.oneof(
  fc.constantFrom<string>(...REVISIONS),
  fc.constantFrom('v999', '2027-01-01', '1900-01-01', ''),
);
const meta = fc.dictionary(
  fc.constantFrom<string>(...Object.values(META)),
  fc.oneof(revision, fc.constant({}), fc.jsonValue()),
);
const method = fc.oneof(
  fc.constantFrom('initialize', 'tools/call', 'tools/list', 'ping', 'resources/read', 'tasks/get', 'server/discover'),
  fc.string(),
);
const params = fc.oneof(
  fc.record({ _meta: meta, name: fc.string(), uri: fc.jsonValue() }, { requiredKeys: [] }),
  fc.jsonValue(),
);
const message = fc.record(
  {
    jsonrpc: fc.oneof({ weight: 9, arbitrary: fc.constant('2.0') }, { weight: 1, arbitrary: fc.jsonValue() }),
    id: anyId,
    method: fc.oneof(method, fc.jsonValue()),
    params,
    result: fc.jsonValue(),
    error: fc.jsonValue(),
  },
  { requiredKeys: ['jsonrpc'] },
);

test('any text is a message or a problem, never an exception', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        message.map((value) => JSON.stringify(value)),
      ),
      (text) => {
        const parsed = parseMessage(text);
        assert.ok(['request', 'notification', 'result', 'error', 'batch', 'problem'].includes(parsed.kind));
      },
    ),
    { numRuns: 3_000 },
  );
});

test('an answer that is printed is read as the same answer', () => {
  const body = fc
    .dictionary(fc.string(), fc.jsonValue())
    .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>);
  fc.assert(
    fc.property(id, body, fc.integer(), (answered, value, code) => {
      const success = parseMessage(JSON.stringify(result(answered, value)));
      assert.deepEqual(success, {
        kind: 'result',
        message: { jsonrpc: '2.0', id: Object.is(answered, -0) ? 0 : answered, result: value },
      });
      const failure = parseMessage(JSON.stringify(errorResponse(answered, { code, message: 'm' })));
      assert.equal(failure.kind, 'error');
    }),
  );
});

test('any request is classified without an exception, and a modern one is what its headers say', () => {
  const header = fc.option(fc.oneof(revision, method, fc.string()), { nil: undefined });
  const headers = fc.record({
    protocolVersion: fc.option(revision, { nil: undefined }),
    method: header,
    name: header,
    sessionId: header,
    lastEventId: header,
  });
  const body = fc.oneof(
    { weight: 6, arbitrary: message },
    { weight: 1, arbitrary: fc.array(message) },
    { weight: 1, arbitrary: fc.anything() },
  );
  fc.assert(
    fc.property(
      fc.constantFrom('POST', 'POST', 'POST', 'GET', 'DELETE', 'PUT'),
      headers,
      body,
      (httpMethod, given, value) => {
        const actual = classifyHttp({ httpMethod, headers: given, body: value });
        if (actual.kind === 'modern')
          assert.deepEqual([actual.revision, actual.method], [given.protocolVersion?.trim(), given.method?.trim()]);
        if (actual.kind === 'reject') assert.ok(actual.http >= 200 && actual.message !== '');
      },
    ),
    { numRuns: 5_000 },
  );
});
