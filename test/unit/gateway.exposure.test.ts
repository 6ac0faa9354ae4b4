import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainExposure } from '../../src/config/exposure.ts';
import { ProxyError } from '../../src/errors.ts';
import { createNameRouter } from '../../src/gateway/name-router.ts';
import type { Servers } from '../../src/gateway/servers-of.ts';
import { makeExposure } from '../../src/mcp/exposure.ts';
import type { JsonObject } from '../../src/mcp/waist.ts';
import type { ExposureConfig, StdioServerConfig } from '../../src/model.ts';
import { errorOf, namesOf, result, startWorld, tools } from '../support/gateway-world.ts';
import { configOf, stdioServer, type Offer } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const shown = (name: string, rules: Partial<ExposureConfig>): StdioServerConfig =>
  stdioServer(name, { exposure: { ...plainExposure(name), ...rules } });

const RULES: Partial<ExposureConfig> = {
  tools: { allow: ['read_*', 'find'], deny: ['*_secret'] },
  prompts: { allow: undefined, deny: ['plan_*'] },
  resources: { allow: ['file:///srv/*'], deny: ['file:///srv/private*'] },
  rename: [['read_file', 'read']],
  describe: [['find', 'Finds what is ours']],
  arguments: [
    { tool: 'find', argument: 'region', mode: 'forced', value: 'eu' },
    { tool: 'read_*', argument: 'limit', mode: 'default', value: 20 },
  ],
};
const OFFER: Offer = {
  tools: [
    ...tools('read_file', 'read_secret', 'delete_file'),
    {
      name: 'find',
      inputSchema: {
        type: 'object',
        required: ['region', 'query'],
        properties: {
          region: { type: 'string', 'x-mcp-header': 'Region' },
          query: { type: 'string', 'x-mcp-header': 'Query' },
        },
      },
    },
  ],
  prompts: [{ name: 'plan_all' }, { name: 'greet' }],
  resources: [{ uri: 'file:///srv/a' }, { uri: 'file:///srv/private/a' }, { uri: 'file:///etc/passwd' }],
  resourceTemplates: [{ uriTemplate: 'file:///srv/{name}' }, { uriTemplate: 'file:///{+path}' }],
};
const calledIn = (peer: { requests: readonly { method: string; params: JsonObject }[] }): JsonObject[] =>
  peer.requests.filter(({ method }) => /call|get|read$/.test(method)).map(({ params }) => params);

/** Both views of one server: what stands before its names, and the view. */
const VIEWS = [
  { title: 'all servers', prefix: 'files__', only: undefined },
  { title: 'one server', prefix: '', only: 'files' },
] as const;

for (const { title, prefix, only } of VIEWS) {
  verifies('gateway.exposure.filter', `a view of ${title} lists and calls only what is shown`, async (t) => {
    const world = startWorld(t, configOf([shown('files', RULES), stdioServer('mail')]), { files: OFFER });
    const view = world.view('alice', only);
    assert.deepEqual(await namesOf(view), [`${prefix}read`, `${prefix}find`]);
    assert.deepEqual(await namesOf(view, 'prompts'), [`${prefix}greet`]);
    for (const name of ['read_file', 'read_secret', 'delete_file', 'nothing']) {
      const error = await errorOf(view, 'tools/call', { name: prefix + name });
      assert.deepEqual([error.code, error.message], [-32602, `Unknown tool: ${prefix}${name}`]);
      assert.deepEqual(error.data, { source: 'mcproxy', code: 'RPC_PARAMS' });
    }
    for (const name of ['plan_all', 'nothing']) {
      const { message } = await errorOf(view, 'prompts/get', { name: prefix + name });
      assert.equal(message, `Unknown prompt: ${prefix}${name}`);
      const ref = { type: 'ref/prompt', name: prefix + name };
      assert.equal((await errorOf(view, 'completion/complete', { ref })).message, message);
    }
    assert.deepEqual(calledIn(world.peer('files')), []);
    assert.equal((await result(view, 'prompts/get', { name: `${prefix}greet` }))['by'], 'files');
  });

  verifies('gateway.exposure.arguments', `a view of ${title} adds what is configured to a call`, async (t) => {
    const world = startWorld(t, configOf([shown('files', RULES)]), { files: OFFER });
    const view = world.view('alice', only);
    const call = async (name: string, args?: unknown): Promise<unknown> => {
      const params = args === undefined ? {} : { arguments: args };
      return ((await result(view, 'tools/call', { name: prefix + name, ...params }))['echo'] as JsonObject)[
        'arguments'
      ];
    };
    assert.deepEqual(await call('find', { region: 'us', query: 'x' }), { region: 'eu', query: 'x' });
    assert.deepEqual(await call('read'), { limit: 20 });
    assert.deepEqual(await call('read', { limit: 5 }), { limit: 5 });
    assert.deepEqual(
      calledIn(world.peer('files')).map(({ name }) => name),
      ['find', 'read_file', 'read_file'],
    );
    assert.equal((await errorOf(view, 'tools/call', { name: `${prefix}find`, arguments: [1] })).code, -32602);
  });

  verifies('gateway.exposure.headers', `a view of ${title} asks for headers of what it shows alone`, async (t) => {
    const world = startWorld(t, configOf([shown('files', RULES)]), { files: OFFER });
    const view = world.view('alice', only);
    assert.deepEqual(await view.paramHeaders(`${prefix}find`, false), [{ name: 'Query', path: ['query'] }]);
    assert.deepEqual(await view.paramHeaders(`${prefix}read_secret`, false), []);
  });

  verifies('gateway.exposure.resources', `a view of ${title} hides resources from every method`, async (t) => {
    const world = startWorld(t, configOf([shown('files', RULES)]), { files: OFFER });
    const view = world.view('alice', only);
    assert.deepEqual(await namesOf(view, 'resources'), ['file:///srv/a']);
    assert.deepEqual(await namesOf(view, 'templates'), ['file:///srv/{name}']);
    for (const uri of ['file:///etc/passwd', 'file:///srv/private/a', 'file:///srv/../etc/passwd', 'x:y']) {
      const error = await errorOf(view, 'resources/read', { uri });
      assert.deepEqual([error.code, error.message], [-32602, 'Resource not found'], uri);
      assert.deepEqual(error.data, { uri, source: 'mcproxy', code: 'RPC_PARAMS' });
      await assert.rejects(view.subscribe(uri), /Resource not found/);
    }
    assert.equal(
      (await errorOf(view, 'completion/complete', { ref: { type: 'ref/resource', uri: 'file:///{+path}' } })).code,
      -32602,
    );
    assert.equal((await result(view, 'resources/read', { uri: 'file:///srv/b' }))['by'], 'files');
    assert.deepEqual([...world.peer('files').subscribed], []);

    const told: string[] = [];
    view.onChange((change) => told.push(change.kind === 'resource' ? change.uri : change.kind));
    assert.equal(await view.subscribe('file:///srv/'), true);
    for (const uri of ['file:///srv/private/a', 'file:///srv/a']) world.peer('files').tell({ kind: 'resource', uri });
    await waitFor(() => told.length > 0);
    assert.deepEqual(told, ['file:///srv/a']);
  });

  verifies('gateway.exposure.log', `a view of ${title} locates names as the server has them`, async (t) => {
    const world = startWorld(t, configOf([shown('files', RULES)]), { files: OFFER });
    const view = world.view('alice', only);
    for (const when of ['before', 'after']) {
      for (const [name, own] of [
        ['read', 'read_file'],
        ['read_file', 'read_file'],
        ['delete_file', 'delete_file'],
      ] as const) {
        const located = view.locate({ method: 'tools/call', params: { name: prefix + name } });
        assert.deepEqual(located, { upstream: 'files', name: own }, `${name} ${when} the list was read`);
      }
      await namesOf(view);
    }
  });

  verifies('gateway.exposure.reload', `a view of ${title} is shown new rules by the same server`, async (t) => {
    const world = startWorld(t, configOf([stdioServer('files')]), { files: { tools: tools('a', 'b') } });
    const view = world.view('alice', only);
    const told = new Set<string>();
    view.onChange(({ kind }) => told.add(kind));
    assert.deepEqual(await namesOf(view), [`${prefix}a`, `${prefix}b`]);
    const peer = world.peer('files');
    const tellOnly = { tools: { allow: ['b'], deny: [] }, prefix: 'f', rename: [['b', 'c']] as const };
    await world.reload(configOf([shown('files', tellOnly)]));
    await waitFor(() => told.size === 3);
    assert.deepEqual(await namesOf(view), [only === undefined ? 'f__c' : 'c']);
    assert.equal(world.peers.length, 1);
    assert.equal(world.peer('files'), peer);
  });
}

test('a server that does not tell its list is called by its own name, and what is hidden stays so', async (t) => {
  const world = startWorld(t, configOf([shown('files', RULES)]), { files: OFFER });
  world.peer('files').down = true;
  for (const { prefix, only } of VIEWS) {
    const view = world.view('alice', only);
    const down = await errorOf(view, 'tools/call', { name: `${prefix}read` });
    assert.match(down.message, /down since noon/);
    const hidden = await errorOf(view, 'tools/call', { name: `${prefix}delete_file` });
    assert.equal(hidden.message, down.message);
  }
  assert.deepEqual(
    calledIn(world.peer('files')).map(({ name }) => name),
    ['read_file', 'read_file'],
  );
});

test('a user who is shown less shares the command; one with an environment does not', async (t) => {
  const files = stdioServer('files');
  const less = { ...files, exposure: { ...files.exposure, tools: { allow: ['a'], deny: [] } } };
  const world = startWorld(t, configOf([files], { alice: '*', bob: [less], carol: [{ ...less, env: [] }] }), {
    files: { tools: tools('a', 'b') },
  });
  assert.deepEqual(await namesOf(world.view('alice')), ['files__a', 'files__b']);
  assert.deepEqual(await namesOf(world.view('bob')), ['files__a']);
  assert.deepEqual(await namesOf(world.view('carol')), ['files__a']);
  assert.deepEqual(
    world.peers.map(({ principalId }) => principalId),
    [undefined, 'carol'],
  );
  await world.reload(configOf([{ ...files }], { alice: '*', bob: [less] }));
  assert.equal(world.peer('files').closed, false);
});

const PAIR = [shown('a', { prefix: '' }), shown('b', { prefix: '' }), stdioServer('x')];

verifies('gateway.names.shared-prefix', 'servers without prefix keep their names where they can', async (t) => {
  const world = startWorld(t, configOf(PAIR), {
    a: { tools: tools('read', 'x__do'), instructions: 'Of a.' },
    b: { tools: tools('read', 'write'), prompts: [{ name: 'read' }] },
    x: { tools: tools('do'), instructions: 'Of x.' },
  });
  const view = world.view();
  const names = (await namesOf(view)) as string[];
  assert.deepEqual(
    names.map((name) => name.replace(/_[0-9a-z]{7}$/, '_#')),
    ['read', 'x__do_#', 'read_#', 'write', 'x__do'],
  );
  const owners = await Promise.all(names.map(async (name) => (await result(view, 'tools/call', { name }))['by']));
  assert.deepEqual(owners, ['a', 'a', 'b', 'b', 'x']);
  assert.deepEqual(await namesOf(view, 'prompts'), ['read']);
  assert.equal((await result(view, 'prompts/get', { name: 'read' }))['by'], 'b');
  assert.deepEqual(view.locate({ method: 'tools/call', params: { name: names[2] } }), { upstream: 'b', name: 'read' });
  assert.deepEqual(view.locate({ method: 'tools/call', params: { name: 'nobody' } }), {
    upstream: null,
    name: 'nobody',
  });
  const hiding = startWorld(
    t,
    configOf([shown('a', { prefix: '', tools: { allow: [], deny: [] } }), PAIR[1] ?? shown('b', {})]),
  );
  assert.deepEqual(hiding.view().locate({ method: 'tools/call', params: { name: 'nobody' } }), {
    upstream: 'a',
    name: 'nobody',
  });
  assert.equal((await errorOf(view, 'tools/call', { name: 'nobody' })).message, 'Unknown tool: nobody');
  const { instructions } = await view.discover();
  assert.match(instructions ?? '', /## a \(its names have no prefix\)[^]*## x \(its names begin with x__\)/);
});

verifies('gateway.names.shared-prefix', 'a call before any list goes where the list would show it', async (t) => {
  const world = startWorld(t, configOf(PAIR), { a: { tools: tools('read') }, b: { tools: tools('read') } });
  await world.view('alice', 'b').paramHeaders('read', false);
  const listed = (name: string) => world.peer(name).requests.some(({ method }) => method === 'tools/list');
  assert.deepEqual([listed('a'), listed('b')], [false, true]);
  assert.equal((await result(world.view(), 'tools/call', { name: 'read' }))['by'], 'a');
});

test('a server that is down does not keep names from the next one, and is not waited for', async (t) => {
  const world = startWorld(t, configOf(PAIR), { a: { tools: tools('read') }, b: { tools: tools('read') } });
  const view = world.view();
  const peer = world.peer('a');
  let askedCount = 0;
  peer.down = true;
  const { describe } = peer;
  peer.describe = () => {
    askedCount += 1;
    return describe();
  };
  assert.deepEqual(await namesOf(view), ['read']);
  assert.ok(askedCount > 0);
  askedCount = 0;
  assert.equal((await result(view, 'tools/call', { name: 'read' }))['by'], 'b');
  assert.equal(askedCount, 0);
});

verifies(
  'gateway.names.shared-prefix',
  'a name means the same tool when a server comes back that has it too',
  async (t) => {
    const world = startWorld(t, configOf(PAIR, { alice: '*', bob: '*' }), {
      a: { tools: tools('read', 'own') },
      b: { tools: tools('read') },
    });
    const [alice, bob] = [world.view('alice'), world.view('bob')];
    world.peer('a').down = true;
    assert.deepEqual(await namesOf(alice), ['read']);
    world.peer('a').down = false;
    world.clock.advance(60_000);
    await waitFor(async () => (await namesOf(alice)).length > 1);
    for (const view of [alice, bob]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that the second finds what the first did
      const names = (await namesOf(view)) as string[];
      assert.deepEqual([names.length, names.slice(1)], [3, ['own', 'read']]);
      assert.match(names[0] ?? '', /^read_[0-9a-z]{7}$/);
      // oxlint-disable-next-line no-await-in-loop
      const by = await Promise.all(names.map(async (name) => (await result(view, 'tools/call', { name }))['by']));
      assert.deepEqual(by, ['a', 'a', 'b']);
    }
    assert.equal(world.gateway.conflicts()[0]?.['gave_way_to'], 'b');
    await world.reload(configOf(PAIR, { alice: '*' }));
    assert.match(String((await namesOf(alice))[0]), /^read_/, 'a reload that changes nothing of it');
    await world.reload(configOf(PAIR.slice(0, 2), { alice: '*' }));
    assert.equal((await namesOf(alice))[0], 'read');
  },
);

test('a server that cannot be opened keeps no call from another one with its prefix', async () => {
  const list = { items: tools('read'), keys: ['read'], ttlMs: 0, scope: 'private', cut: false } as const;
  const known = { list, ttlMs: 0, missing: undefined };
  const catalog = {
    peek: () => list,
    get: async () => known,
    getAfterMiss: async () => known,
    finished: async () => undefined,
    failure: () => undefined,
  };
  const refuse = (): never => {
    throw new ProxyError('OVERLOADED', 'too many servers are in use');
  };
  const servers: Servers = {
    names: ['a', 'b'],
    owners: ['a', 'b'].map((server) => ({ server, prefix: '' })),
    member: refuse,
    known: () => undefined,
    exposure: (server) => makeExposure({ ...plainExposure(server), prefix: '' }),
    catalog: (server) => (server === 'a' ? refuse() : catalog),
    knownCatalog: (server) => (server === 'a' ? undefined : catalog),
    lack: () => undefined,
    mergedName: (_server, name) => name,
    unrestricted: undefined,
    showItems: (_server, _kind, items) => items,
    ownTools: () => undefined,
    withheldName: () => undefined,
  };
  const { serverName } = await createNameRouter(() => servers).resolve('tools', 'read');
  assert.equal(serverName, 'b');
});

test('a list that a reload overtakes names everything by its own server', async (t) => {
  const [files, mail] = [stdioServer('files'), stdioServer('mail')];
  const world = startWorld(t, configOf([files, mail]), { files: { tools: tools('a') }, mail: { tools: tools('b') } });
  let free: () => void = () => undefined;
  const held = new Promise<undefined>((resolve) => (free = () => resolve(undefined)));
  world.peer('files').answer = ({ method }) => (method === 'tools/list' ? held : undefined);
  const names = namesOf(world.view());
  await waitFor(() => world.peer('files').requests.length > 0);
  await world.reload(configOf([mail, files]));
  free();
  assert.deepEqual(await names, ['files__a', 'mail__b']);
});

verifies('gateway.names.conflicts', 'a name that gave way is told once and stands in the status', async (t) => {
  const offers = { a: { tools: tools('read') }, b: { tools: tools('read') } };
  const world = startWorld(t, configOf(PAIR, { alice: '*', bob: '*' }), offers);
  const told = world.diags.filter(({ message }) => /taken by another/.test(message));
  assert.deepEqual([told, world.gateway.conflicts()], [[], []]);
  const [, exposed] = await namesOf(world.view('alice'));
  await namesOf(world.view('alice'));
  await namesOf(world.view('bob'));
  const row = { server: 'b', kind: 'tools', name: 'read', exposed, gave_way_to: 'a' };
  assert.deepEqual(world.gateway.conflicts(), [row]);
  const now = world.diags.filter(({ message }) => /taken by another/.test(message));
  assert.deepEqual(
    now.map(({ data }) => data),
    [{ server: 'b', kind: 'tools', gave_way_to: 'a', count: 1, names: `read as ${String(exposed)}` }],
  );
  await world.reload(configOf([stdioServer('a'), stdioServer('b')], { alice: '*', bob: '*' }));
  assert.deepEqual(world.gateway.conflicts(), []);
});

verifies('gateway.names.conflicts', 'all names that one server takes from another are one line', async (t) => {
  const many = { tools: tools(...Array.from({ length: 40 }, (_, at) => `t${at}`)) };
  const world = startWorld(t, configOf(PAIR), { a: many, b: many });
  await namesOf(world.view());
  const [told, ...more] = world.diags.filter(({ message }) => /taken by another/.test(message));
  assert.ok(told !== undefined);
  const { count, names } = told.data as { count: number; names: string };
  assert.deepEqual([count, names.split(', ').length, more], [40, 6, []]);
  assert.equal(world.gateway.conflicts().length, 40);
});
