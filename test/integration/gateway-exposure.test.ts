/**
 * What clients of both eras see of real servers whose configuration hides, renames and fills in: a command (the
 * filesystem server) and the dual-era fixture over HTTP, which really compares mirrored headers with arguments.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { askSocket } from '../../src/app/admin-client.ts';
import { eventsOf, modernBody, modernHeaders, type Json } from '../support/downstream-clients.ts';
import { openStream, readUntil, send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { headersOf, openSession, peersOf, settingsFile, usersFile } from '../support/message-app.ts';
import { startConformanceFixture } from '../support/peers.ts';
import { startApp, type RunningApp } from '../support/start-app.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor, within } from '../support/wait.ts';

after(() => checkNothingLeft());

const FILESYSTEM = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/server-filesystem/dist/index.js', import.meta.url),
);
const ALICE = usersFile({ alice: '"*"' });

const FILE_RULES = `prefix: "", tools: { allow: [read_*, list_allowed_directories], deny: [read_m*],
    rename: { read_text_file: read, list_allowed_directories: whereabouts }, describe: { read_text_file: Reads one },
    arguments: { read_text_file: { head: { default: 1 } } } }`;
const WEB_RULES = `prefix: w, tools: { allow: [test_x*, test_simple*], rename: { test_x_mcp_header: where },
    arguments: { test_x_mcp_header: { region: eu } } },
    prompts: { allow: [test_simple_prompt] }, resources: { deny: ["test://watched*"] }`;

/** The commands and URLs behind the names `files` and `web`. */
interface Behind {
  readonly files: string;
  readonly web: string;
}

async function startBehind(t: TestContext): Promise<Behind> {
  const share = makeTempDir(t);
  writeFileSync(join(share, 'a.txt'), 'first\nsecond\n');
  const { url } = await startConformanceFixture(t);
  const args = JSON.stringify([FILESYSTEM, share]);
  return { files: `command: ${process.execPath}, args: ${args}, cwd: ${share}`, web: `url: "${url}"` };
}

function settings(behind: Behind, rules: { readonly files: string; readonly web: string }): string {
  return settingsFile({ files: `{ ${behind.files}, ${rules.files} }`, web: `{ ${behind.web}, ${rules.web} }` });
}

async function start(t: TestContext, behind: Behind, rules: { files: string; web: string }): Promise<RunningApp> {
  return startApp(t, { files: { 'mcproxy.yml': settings(behind, rules), 'tokens.yml': ALICE } });
}

/** Asks and gives the response, whatever the era. */
type Ask = (method: string, params?: Json, headers?: Record<string, string>) => Promise<Json>;

async function asking(url: string, path: string, era: 'legacy' | 'modern'): Promise<Ask> {
  if (era === 'legacy') {
    const session = await openSession(url, 'alice', { path });
    return async (method, params) => (await session.ask(method, params)).response;
  }
  return async (method, params = {}, more = {}) => {
    const headers = { ...headersOf('alice'), ...modernHeaders(method, params['name'] ?? params['uri']), ...more };
    const answer = await send(url + path, { headers, body: modernBody(method, params) });
    const isStream = (answer.header('content-type') ?? '').startsWith('text/event-stream');
    return (isStream ? eventsOf(answer.text()).at(-1) : answer.json()) as Json;
  };
}

const textOf = (response: Json): string => response['result']?.content?.[0]?.text ?? JSON.stringify(response);
const toolsOf = async (ask: Ask): Promise<Json[]> => (await ask('tools/list'))['result'].tools as Json[];

for (const era of ['legacy', 'modern'] as const) {
  verifies(
    [
      'gateway.exposure.filter',
      'gateway.exposure.transform',
      'gateway.exposure.arguments',
      'gateway.exposure.headers',
      'gateway.exposure.log',
    ],
    `a ${era} client sees and calls what is configured, of a command and over HTTP, at both URLs`,
    async (t) => {
      const app = await start(t, await startBehind(t), { files: FILE_RULES, web: WEB_RULES });
      const all = await asking(app.url, '/mcp', era);
      const files = await asking(app.url, '/files/mcp', era);
      const web = await asking(app.url, '/web/mcp', era);
      const names = async (ask: Ask): Promise<string[]> => (await toolsOf(ask)).map(({ name }) => name as string);
      assert.deepEqual(await names(files), ['read_file', 'read', 'whereabouts']);
      const shownAtWeb = (await names(web)).toSorted();
      assert.deepEqual(shownAtWeb, ['test_simple_text', 'where']);
      assert.deepEqual(
        (await names(all)).toSorted(),
        ['read', 'read_file', 'whereabouts', ...shownAtWeb.map((name) => `w__${name}`)].toSorted(),
      );

      const read = (await toolsOf(all)).find(({ name }) => name === 'read');
      assert.equal(read?.['description'], 'Reads one');
      assert.deepEqual(Object.keys(read?.['inputSchema'].properties), ['path', 'tail']);
      assert.deepEqual(read?.['annotations']?.readOnlyHint, true);
      for (const [ask, prefix] of [
        [all, 'w__'],
        [web, ''],
      ] as const) {
        const where = await ask('tools/call', { name: `${prefix}where`, arguments: { region: 'us' } });
        assert.equal(textOf(where), 'region=eu');
        const hidden = await ask('tools/call', { name: `${prefix}test_error_handling`, arguments: {} });
        const unknown = await ask('tools/call', { name: `${prefix}test_no_such`, arguments: {} });
        assert.deepEqual([hidden['error'].code, unknown['error'].code], [-32602, -32602]);
        assert.equal(hidden['error'].message, `Unknown tool: ${prefix}test_error_handling`);
        assert.equal(unknown['error'].message, `Unknown tool: ${prefix}test_no_such`);
        const { prompts } = (await ask('prompts/list'))['result'] as { prompts: Json[] };
        assert.deepEqual(
          prompts.map(({ name }) => name),
          [`${prefix}test_simple_prompt`],
        );
        const secret = await ask('resources/read', { uri: 'test://watched-resource' });
        assert.deepEqual(
          [secret['error'].code, secret['error'].data.uri],
          [era === 'legacy' ? -32002 : -32602, 'test://watched-resource'],
        );
      }
      for (const ask of [all, files]) {
        assert.equal(textOf(await ask('tools/call', { name: 'read', arguments: { path: 'a.txt' } })).trim(), 'first');
      }
      const entries = await waitFor(() => {
        const found = app.entries().filter(({ rpc_method: method }) => method === 'tools/call');
        return found.length === 8 ? found : undefined;
      });
      const called = entries?.map(({ upstream, rpc_name: name }) => `${String(upstream)} ${String(name)}`);
      assert.deepEqual(
        [...new Set(called)].toSorted(),
        ['files read_text_file', 'web test_error_handling', 'web test_no_such', 'web test_x_mcp_header'].toSorted(),
      );
    },
  );
}

verifies('gateway.exposure.headers', 'headers of a renamed tool are compared with what the client sends', async (t) => {
  const rules = { files: 'enabled: false', web: 'tools: { rename: { test_x_mcp_header: where } }' };
  const app = await start(t, await startBehind(t), rules);
  for (const [path, name] of [
    ['/mcp', 'web__where'],
    ['/web/mcp', 'where'],
  ] as const) {
    const ask = await asking(app.url, path, 'modern');
    const call = (region?: string): Promise<Json> =>
      ask(
        'tools/call',
        { name, arguments: { region: 'eu' } },
        region === undefined ? {} : { 'mcp-param-region': region },
      );
    assert.equal(textOf(await call('eu')), 'region=eu');
    assert.equal((await call())['error'].code, -32020);
    assert.equal((await call('us'))['error'].code, -32020);
  }
});

verifies(
  ['gateway.exposure.reload', 'gateway.names.conflicts'],
  'a save changes what is shown, tells clients, and leaves the server running',
  async (t) => {
    const behind = await startBehind(t);
    const app = await start(t, behind, { files: 'prefix: files', web: 'prefix: web' });
    const { sessionId } = await openSession(app.url, 'alice');
    const session = await openSession(app.url, 'alice', { sessionId });
    const pid = async (): Promise<unknown> => (await peersOf(app)).find(({ server }) => server === 'files')?.pid;
    assert.ok((await session.toolNames()).includes('files__write_file'));
    const before = await pid();
    assert.ok(before !== undefined);
    const headers = {
      ...headersOf('alice'),
      accept: 'text/event-stream',
      'mcp-session-id': sessionId,
      'mcp-protocol-version': '2025-11-25',
    };
    const stream = await openStream(`${app.url}/mcp`, { headers });
    const told = readUntil(stream, (text) => text.includes('notifications/tools/list_changed'));
    const rules = { files: FILE_RULES, web: 'prefix: "", tools: { rename: { test_simple_text: read } }' };
    writeFileSync(join(app.dir, 'mcproxy.yml'), settings(behind, rules));
    await within(told, { deadlineMs: 5_000, what: 'list_changed' });
    stream.close();
    const names = await session.toolNames();
    assert.deepEqual(names.slice(0, 3), ['read_file', 'read', 'whereabouts']);
    const exposed = names.find((name) => /^read_[0-9a-z]{7}$/.test(name));
    assert.ok(exposed !== undefined, names.join());
    assert.match(textOf((await session.ask('tools/call', { name: exposed, arguments: {} })).response), /^This is/);
    assert.equal(await pid(), before);

    const asked = await askSocket(join(app.dir, 'admin.sock'), { method: 'GET', target: '/status' });
    assert.ok(asked.kind === 'answer');
    const row = { server: 'web', kind: 'tools', name: 'read', exposed, gave_way_to: 'files' };
    assert.deepEqual((asked.body as Json)['name_conflicts'], [row]);
    assert.equal(app.stderr().split('names are taken by another server').length, 2);
  },
);
