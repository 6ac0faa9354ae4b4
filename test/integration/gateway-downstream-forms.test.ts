/**
 * Forms that a server asks for, at clients of older revisions over Streamable HTTP.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { InputRequest } from '../../src/mcp/waist.ts';
import { DONE, connect, endsWith, eventsOf, request, serving } from '../support/downstream-clients.ts';
import { scriptView } from '../support/downstream-server.ts';
import { readUntil } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { verifies } from '../support/verifies.ts';

after(() => checkNothingLeft());

verifies('protocol.case-88', 'a client of 2025-06-18 is asked in the forms that it knows, or not at all', async () => {
  const choice = { type: 'string', oneOf: [{ const: 'r', title: 'Red' }] };
  const several = { type: 'array', items: { type: 'string', enum: ['a'] } };
  const form = (name: string, field: object): InputRequest => {
    const requestedSchema = { type: 'object', properties: { [name]: field }, required: [name] };
    return { method: 'elicitation/create', params: { message: '?', requestedSchema } };
  };
  const inputRequests = { one: form('choice', choice), many: form('several', several) };
  const view = scriptView(({ params }) =>
    params['inputResponses'] === undefined ? { kind: 'input_required', inputRequests, requestState: undefined } : DONE,
  );
  await serving(view, async (server) => {
    const client = await connect(server, { revision: '2025-06-18', capabilities: { elicitation: {} } });
    const stream = await client.stream(request(4, 'tools/call', { name: 'a' }));
    const asked = eventsOf(await readUntil(stream, (text) => text.includes('elicitation/create')));
    assert.deepEqual(
      asked.map(({ params }) => params.requestedSchema.properties),
      [{ choice: { type: 'string', enum: ['r'], enumNames: ['Red'] } }],
    );
    const one = { action: 'accept', content: { choice: 'r' } };
    await client.post({ jsonrpc: '2.0', id: asked[0]?.['id'], result: one });
    await readUntil(stream, endsWith(4));
    assert.deepEqual(view.calls[1]?.request.params['inputResponses'], { one, many: { action: 'decline' } });
  });
});
