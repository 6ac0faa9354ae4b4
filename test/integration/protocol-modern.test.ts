/**
 * Requests of 2026-07-28 at `/mcp` of a real mcproxy, case by case as `protocol-cases.ts` numbers them.
 *
 * Behind it stand a command of the modern era (the conformance fixture), one of the legacy era (`tells-who`), and two
 * modern HTTP servers that the test steers and that list the same resource, so that its URI has to be rewritten.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RequirementId } from '../requirements.ts';
import { eventsOf, modernBody, modernHeaders, readAll, type Json } from '../support/downstream-clients.ts';
import { readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { command, settingsFile, usersFile } from '../support/message-app.ts';
import { messageOf, modernClient, type Headers } from '../support/modern-client.ts';
import { startModernUpstream } from '../support/modern-upstream.ts';
import { startApp } from '../support/start-app.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

const FIXTURE = fileURLToPath(new URL('../peers/conformance-fixture.ts', import.meta.url));
const SHARED_URI = 'note://shared';
const first = await startModernUpstream({ after }, [SHARED_URI]);
const second = await startModernUpstream({ after }, [SHARED_URI]);
const fixture = `{ command: ${process.execPath}, args: [--import, "${import.meta.resolve('tsx')}", ${FIXTURE}, stdio] }`;
const app = await startApp(
  { after },
  {
    files: {
      'mcproxy.yml': settingsFile({
        fix: fixture,
        who: command('tells-who.mjs', 'who'),
        first: `{ url: "${first.url}" }`,
        second: `{ url: "${second.url}" }`,
      }),
      'tokens.yml': usersFile({ alice: '"*"', bob: '"*"' }),
    },
  },
);
// Hooks run in the order of their registration.
after(() => checkNothingLeft());

const MCP = `${app.url}/mcp`;
const CLIENT = modernClient(MCP, 'alice');
await waitFor(async () => (await CLIENT.toolNames()).some((name) => name.startsWith('fix__')), {
  deadlineMs: 20_000,
  what: 'the tools of the fixture',
});
await waitFor(async () => (await CLIENT.toolNames()).includes('who__work'), {
  deadlineMs: 10_000,
  what: 'the other tools',
});

const { ask, open, post, resultOf } = CLIENT;
const WORK = { name: 'who__work', arguments: { text: 'x' } };
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const CALL = modernHeaders('tools/call', 'who__work');

verifies('protocol.case-01', 'server/discover names the revision, what is served and for how long', async () => {
  const result = await resultOf('server/discover');
  assert.deepEqual(result['supportedVersions'], ['2026-07-28']);
  assert.equal(result['resultType'], 'complete');
  assert.ok(result['ttlMs'] >= 0);
  assert.ok(['public', 'private'].includes(result['cacheScope']));
  assert.equal(result['capabilities'].tools.listChanged, true);
});

verifies(
  'protocol.case-15',
  'a rewritten URI reaches its server as the server wrote it, in header and body',
  async () => {
    const { resources } = await resultOf('resources/list');
    const exposed = (resources as Json[]).map(({ uri }) => uri as string).filter((uri) => uri.includes(SHARED_URI));
    assert.equal(exposed.length, 2, exposed.join());
    assert.equal(new Set(exposed).size, 2);
    for (const [at, uri] of exposed.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, to see which server it reached
      const { contents } = await resultOf('resources/read', { uri });
      const [asked] = (at === 0 ? first : second).asked('resources/read');
      assert.ok(asked !== undefined, `the server of ${uri} was not asked`);
      assert.deepEqual(asked.values('mcp-name'), [SHARED_URI]);
      assert.equal((asked.json() as Json)['params'].uri, SHARED_URI);
      assert.equal(contents[0].uri, uri);
    }
  },
);

const MIRRORED = 'first__mirrored';
const MIRRORS: readonly { id: RequirementId; name: string; args: Json; headers: Headers; status: number }[] = [
  { id: 'protocol.case-16', name: 'an argument without its header', args: { region: 'eu' }, headers: {}, status: 400 },
  { id: 'protocol.case-16', name: 'no argument and no header', args: {}, headers: {}, status: 200 },
  { id: 'protocol.case-16', name: 'a null argument and no header', args: { region: null }, headers: {}, status: 200 },
  {
    id: 'protocol.case-16',
    name: 'another value in the header',
    args: { region: 'eu' },
    headers: { 'mcp-param-region': 'us' },
    status: 400,
  },
  {
    id: 'protocol.case-17',
    name: 'an integer written as 42.0',
    args: { count: 42 },
    headers: { 'mcp-param-count': '42.0' },
    status: 200,
  },
];

for (const { id, name, args, headers, status } of MIRRORS) {
  verifies(id, `a call with ${name} is ${status}`, async () => {
    const body = modernBody('tools/call', { name: MIRRORED, arguments: args });
    const answer = await post(body, { ...modernHeaders('tools/call', MIRRORED), ...headers });
    assert.equal(answer.status, status, answer.text());
    if (status === 400) assert.equal((answer.json() as Json)['error'].code, -32020);
    else assert.deepEqual(JSON.parse(messageOf(answer)['result'].content[0].text), args);
  });
}

verifies('protocol.case-26', 'every result says its type and the cacheable ones their freshness', async () => {
  const asked: [method: string, params: Json, cacheable: boolean][] = [
    ['server/discover', {}, true],
    ['tools/list', {}, true],
    ['prompts/list', {}, true],
    ['resources/list', {}, true],
    ['resources/templates/list', {}, true],
    ['resources/read', { uri: 'test://static-text' }, true],
    ['tools/call', WORK, false],
    ['prompts/get', { name: 'fix__test_simple_prompt' }, false],
  ];
  for (const [method, params, cacheable] of asked) {
    // oxlint-disable-next-line no-await-in-loop
    const result = await resultOf(method, params);
    assert.equal(result['resultType'], 'complete', method);
    if (!cacheable) continue;
    assert.ok(result['ttlMs'] >= 0, method);
    assert.ok(['public', 'private'].includes(result['cacheScope']), method);
  }
});

verifies('protocol.case-27', 'a tool that has to sample is 400 with -32021 for a client that cannot', async () => {
  const answer = await ask('tools/call', { name: 'fix__test_sampling', arguments: { prompt: 'x' } });
  const message = messageOf(answer);
  assert.equal(message['error'].code, -32021, JSON.stringify(message));
  assert.equal(answer.status, 400);
  assert.equal(typeof message['error'].data.requiredCapabilities.sampling, 'object');
});

verifies(
  ['protocol.case-28', 'protocol.case-29'],
  'an answer holds no request, and log messages only when a level was given',
  async () => {
    const call = { name: 'fix__test_tool_with_logging', arguments: {} };
    const quiet = await ask('tools/call', call, { meta: { progressToken: 'p' } });
    assert.ok(!quiet.text().includes('notifications/message'));
    const chatty = await ask('tools/call', call, { meta: { 'io.modelcontextprotocol/logLevel': 'info' } });
    const events = eventsOf(chatty.text());
    assert.equal(events.filter(({ method }) => method === 'notifications/message').length, 3);
    assert.equal(events.filter(({ id, method }) => id !== undefined && method !== undefined).length, 0);
    const asking = { name: 'fix__test_elicitation', arguments: { message: 'Sure?' } };
    const asked = await ask('tools/call', asking, { meta: { [CAPABILITIES]: { elicitation: { form: {} } } } });
    assert.equal(messageOf(asked)['result'].resultType, 'input_required');
  },
);

verifies('protocol.case-31', 'an event is with the client before the server has finished', async () => {
  const opening = open('tools/call', { name: 'first__slow', arguments: {} }, { meta: { progressToken: 7 } });
  const call = await waitFor(() => first.held[0], { what: 'the call at the server' });
  call?.progress(1);
  const stream = await opening;
  assert.equal(stream.header('x-accel-buffering'), 'no');
  await readUntil(stream, (text) => text.includes('notifications/progress') && text.includes('"progressToken":7'));
  assert.equal(first.held.length, 1);
  call?.finish();
  const events = await within(readAll(stream), { deadlineMs: 5_000, what: 'the end of the stream' });
  assert.equal(events.at(-1)?.['id'], 'r-1');
});

verifies('protocol.case-32', 'a client that closes its stream is seen to leave by a server over HTTP', async () => {
  const opening = open('tools/call', { name: 'second__slow', arguments: {} }, { meta: { progressToken: 1 } });
  const call = await waitFor(() => second.held[0], { what: 'the call at the server' });
  call?.progress(1);
  (await opening).close();
  await waitFor(() => second.held.length === 0, { what: 'the server to see that nobody waits' });
  await waitFor(() => app.entries().some(({ outcome, rpc_name: name }) => outcome === 'cancelled' && name === 'slow'));
});

verifies('protocol.case-33', 'two clients with the same ids and tokens get their own', async () => {
  const asked = ['alice', 'bob', 'alice', 'bob'].map(async (user, at) => {
    const text = `${user}-${at}`;
    const args = { text, delayMs: 50 };
    const body = modernBody(
      'tools/call',
      { name: 'who__work', arguments: args },
      { id: 1, meta: { progressToken: 1 } },
    );
    const answer = await send(MCP, { headers: { authorization: `Bearer ${tokenOf(user)}`, ...CALL }, body });
    const others = ['alice-0', 'bob-1', 'alice-2', 'bob-3'].filter((other) => other !== text);
    assert.ok(answer.text().includes(text));
    assert.ok(!others.some((other) => answer.text().includes(other)), answer.text());
  });
  await Promise.all(asked);
});
