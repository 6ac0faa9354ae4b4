/**
 * What rules of a principal do in the views of the gateway, over scripted servers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plainExposure } from '../../src/config/exposure.ts';
import { createRateLimiter } from '../../src/http/rate-limit.ts';
import type { AccessFilter, AccessRule, ExposureConfig, Principal } from '../../src/model.ts';
import { ask, errorOf, namesOf, result, startWorld, tools } from '../support/gateway-world.ts';
import { configOf, stdioServer, type Offer } from '../support/scripted-peer.ts';
import { verifies } from '../support/verifies.ts';

const rule = (pattern: string): AccessRule => ({ pattern, from: 'user alice', at: undefined });
const filter = (allow: readonly string[] | undefined, deny: readonly string[] = []): AccessFilter => ({
  allow: allow?.map(rule),
  deny: deny.map(rule),
});
const ALL = filter(['*']);

type Rules = Partial<Record<'tools' | 'prompts' | 'resources', AccessFilter>>;

function configWith(rules: Rules, exposures: Readonly<Record<string, Partial<ExposureConfig>>> = {}) {
  const servers = ['files', 'mail'].map((name) =>
    stdioServer(name, { exposure: { ...plainExposure(name), ...exposures[name] } }),
  );
  const config = configOf(servers);
  const access = { servers: ALL, tools: undefined, prompts: undefined, resources: undefined, ...rules };
  const principals = config.principals.map((each): Principal => (each.id === 'alice' ? { ...each, access } : each));
  return { ...config, principals };
}

const OFFER: Offer = {
  tools: tools('read', 'delete_all', 'list'),
  prompts: [{ name: 'greet' }, { name: 'plan' }],
  resources: [{ uri: 'file:///a' }, { uri: 'file:///secret/b' }],
  resourceTemplates: [{ uriTemplate: 'file:///{name}' }, { uriTemplate: 'file:///secret/{name}' }],
  capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, completions: {} },
};
const RULES: Rules = {
  tools: filter(['files__*', 'mail__list'], ['*__delete_*']),
  prompts: filter(['files__greet']),
  resources: filter(undefined, ['file:///secret*']),
};

const VIEWS = [
  { title: 'all servers', prefix: 'files__', only: undefined },
  { title: 'one server', prefix: '', only: 'files' },
] as const;
for (const { title, prefix, only } of VIEWS) {
  verifies('access.rules', `a view of ${title} lists and calls only what the rules allow`, async (t) => {
    const world = startWorld(t, configWith(RULES), { files: OFFER, mail: { tools: tools('list', 'send') } });
    const view = world.view('alice', only);
    const mail = only === undefined ? ['mail__list'] : [];
    assert.deepEqual(await namesOf(view), [`${prefix}read`, `${prefix}list`, ...mail]);
    assert.deepEqual(await namesOf(view, 'prompts'), [`${prefix}greet`]);
    assert.deepEqual(await namesOf(view, 'resources'), ['file:///a']);
    assert.deepEqual(await namesOf(view, 'templates'), ['file:///{name}']);
    const before = world.peer('files').requests.length;
    for (const name of ['delete_all', 'nothing']) {
      const error = await errorOf(view, 'tools/call', { name: prefix + name });
      assert.deepEqual([error.code, error.message], [-32602, `Unknown tool: ${prefix}${name}`]);
      assert.deepEqual(error.data, { source: 'mcproxy', code: 'RPC_PARAMS' });
    }
    const ref = { type: 'ref/prompt', name: `${prefix}plan` };
    for (const [method, params] of [
      ['prompts/get', { name: `${prefix}plan` }],
      ['completion/complete', { ref, argument: { name: 'a', value: '' } }],
      ['resources/read', { uri: 'file:///secret/b' }],
      ['resources/read', { uri: 'FILE:///%73ecret/b' }],
      ['resources/read', { uri: 'file:///a/../secret/b' }],
      ['completion/complete', { ref: { type: 'ref/resource', uri: 'file:///secret/{name}' }, argument: {} }],
    ] as const) {
      assert.equal((await errorOf(view, method, params)).code, -32602, `${method} ${JSON.stringify(params)}`);
    }
    await assert.rejects(view.subscribe('file:///secret/b'), { code: 'RPC_PARAMS' });
    const asked = world
      .peer('files')
      .requests.slice(before)
      .map(({ method }) => method);
    assert.deepEqual(
      asked.filter((method) => !method.endsWith('/list')),
      [],
    );
    assert.equal((await result(view, 'tools/call', { name: `${prefix}read` }))['by'], 'files');
  });

  verifies(
    'access.log',
    `a view of ${title} tells the log what the rules hide, by the server's own name`,
    async (t) => {
      const exposures = { files: { rename: [['wipe', 'delete_all']] as const } };
      const offer = { ...OFFER, tools: tools('read', 'wipe') };
      const world = startWorld(t, configWith(RULES, exposures), { files: offer });
      const view = world.view('alice', only);
      const at = (method: string, params: Record<string, unknown>): unknown => view.locate({ method, params });
      const denied = { upstream: 'files', name: 'wipe', denied: true };
      // Before anybody has read a list, and afterwards.
      assert.deepEqual(at('tools/call', { name: `${prefix}delete_all` }), denied);
      // A view of one server reads the list for itself when a name is looked for.
      await errorOf(view, 'tools/call', { name: `${prefix}delete_all` });
      assert.deepEqual(at('tools/call', { name: `${prefix}delete_all` }), denied);
      assert.deepEqual(at('tools/call', { name: `${prefix}read` }), { upstream: 'files', name: 'read' });
      const nothing = at('tools/call', { name: `${prefix}delete_nothing` }) as { denied?: boolean };
      assert.equal(nothing.denied, undefined, 'there is no such tool, whatever the rules say');
      const uri = at('resources/read', { uri: 'file:///secret/b' }) as { denied?: boolean };
      assert.equal(uri.denied, true);
      assert.equal(
        (at('resources/unsubscribe', { uri: 'file:///secret/b' }) as { denied?: boolean }).denied,
        undefined,
      );
    },
  );
}

for (const { title, prefix, only } of VIEWS) {
  verifies(
    'access.rules',
    `a view of ${title} refuses what the rules deny also while no list can be had`,
    async (t) => {
      const world = startWorld(t, configWith(RULES), { files: OFFER });
      const view = world.view('alice', only);
      await namesOf(view, 'prompts');
      world.peer('files').answer = ({ method }) =>
        method === 'tools/list'
          ? { kind: 'error', code: -32603, message: 'no list today', data: undefined }
          : undefined;
      assert.equal((await result(view, 'tools/call', { name: `${prefix}read` }))['by'], 'files');
      const outcome = await ask(view, 'tools/call', { name: `${prefix}delete_all` });
      assert.equal(outcome.kind, 'error');
      assert.ok(!world.peer('files').requests.some(({ params }) => params['name'] === 'delete_all'));
    },
  );
}

verifies('access.private', 'a list of a restricted user is private, also where all else is public', async (t) => {
  const freshness = { ttlMs: 60_000, cacheScope: 'public' };
  const offers = { files: { ...OFFER, freshness }, mail: { tools: tools('list'), freshness } };
  const open = startWorld(t, configWith({}), offers);
  assert.equal((await result(open.view(), 'tools/list'))['cacheScope'], 'public');
  const restricted = startWorld(t, configWith(RULES), offers);
  assert.equal((await result(restricted.view(), 'tools/list'))['cacheScope'], 'private');
  assert.equal((await result(restricted.view('alice', 'files'), 'tools/list'))['cacheScope'], 'private');
});

verifies(
  'access.reload',
  'changed rules hold from the next call on, and clients hear that lists changed',
  async (t) => {
    const world = startWorld(t, configWith({}), { files: OFFER, mail: { tools: tools('list') } });
    const view = world.view();
    const changes: string[] = [];
    const changed = new Promise<void>((resolve) => {
      view.onChange(({ kind }) => {
        changes.push(kind);
        if (kind === 'tools') resolve();
      });
    });
    await result(view, 'tools/call', { name: 'files__delete_all' });
    await world.reload(configWith(RULES));
    assert.equal((await errorOf(view, 'tools/call', { name: 'files__delete_all' })).code, -32602);
    await changed;
  },
);

test('where servers share a prefix a rule is about the tools of that name of all of them', async (t) => {
  const exposures = { files: { prefix: '' }, mail: { prefix: '' } };
  const offers = { files: { tools: tools('read', 'list') }, mail: { tools: tools('list', 'send') } };
  const denied = startWorld(t, configWith({ tools: filter(undefined, ['list']) }, exposures), offers);
  assert.deepEqual(await namesOf(denied.view()), ['read', 'send']);
  const allowed = startWorld(t, configWith({ tools: filter(['list']) }, exposures), offers);
  const names = (await namesOf(allowed.view())) as string[];
  assert.equal(names.length, 2);
  assert.match(names[1] ?? '', /^list_[0-9a-z]{7}$/);
});

test('a name that looks like another server is judged by the name it is given instead', async (t) => {
  const rules = { tools: filter(['files__a__list']) };
  const offers = { files: { tools: tools('a__list') }, mail: { tools: tools('list') } };
  const world = startWorld(t, configWith(rules, { mail: { prefix: 'files__a' } }), offers);
  assert.equal((await result(world.view(), 'tools/call', { name: 'files__a__list' }))['by'], 'mail');
  assert.deepEqual(await namesOf(world.view()), ['files__a__list']);
  assert.deepEqual(await namesOf(world.view('alice', 'files')), []);
  assert.equal((await errorOf(world.view('alice', 'files'), 'tools/call', { name: 'a__list' })).code, -32602);
});

/** Names that collide, need a hash, look like another server's, or match many patterns. */
const name = fc.oneof(
  fc.constantFrom(
    'read',
    'read_all',
    'delete',
    'mail__list',
    'a__list',
    'a b',
    'a_b',
    `long_${'x'.repeat(70)}`,
    '*',
    '!x',
    '__proto__',
  ),
  fc.stringMatching(/^[a-z_*. -]{1,12}$/),
);
const pattern = fc.oneof(
  fc.constantFrom('*', 'files__*', 'mail__*', '*__read*', 'files__read', 'mail__list', '*_?', '*x', 'files__a_b*'),
  fc.stringMatching(/^[a-z_*?]{1,10}$/),
);
const someRules = fc.record({
  allow: fc.option(fc.array(pattern, { maxLength: 4 }), { nil: undefined }),
  deny: fc.array(pattern, { maxLength: 3 }),
});
const prefixOf = fc.constantFrom('files', 'mail', '', 'x', 'files__a');

verifies(
  'access.exact',
  'what is listed is exactly what can be called, by every name there is, in both views',
  async (t) => {
    const world = fc.record({
      files: fc.uniqueArray(name, { maxLength: 6 }),
      mail: fc.uniqueArray(name, { maxLength: 6 }),
      rules: someRules,
      prefixes: fc.tuple(prefixOf, prefixOf),
      rename: fc.option(fc.tuple(name, fc.constantFrom('read', 'renamed', 'delete')), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(world, async ({ files, mail, rules, prefixes, rename }) => {
        const cleanups: (() => unknown)[] = [];
        const scope = { after: (clean: () => unknown) => void cleanups.push(clean) } as unknown as typeof t;
        const exposures = {
          files: { prefix: prefixes[0], rename: rename === undefined ? [] : [rename] },
          mail: { prefix: prefixes[1] },
        };
        const offers = { files: { tools: tools(...files) }, mail: { tools: tools(...mail) } };
        const restricted = startWorld(scope, configWith({ tools: filter(rules.allow, rules.deny) }, exposures), offers);
        const open = startWorld(scope, configWith({}, exposures), offers);
        const counts: number[] = [];
        try {
          for (const only of [undefined, 'files', 'mail']) {
            // oxlint-disable-next-line no-await-in-loop
            const listed = new Set(await namesOf(restricted.view('alice', only)));
            // oxlint-disable-next-line no-await-in-loop
            const all = await namesOf(open.view('alice', only));
            counts.push(listed.size);
            for (const each of new Set([...all, ...files, ...mail, ...files.map((own) => `files__${own}`)])) {
              // oxlint-disable-next-line no-await-in-loop
              const outcome = await ask(restricted.view('alice', only), 'tools/call', { name: each });
              assert.equal(outcome.kind === 'complete', listed.has(each), `${String(each)} in ${only ?? 'all'}`);
            }
            assert.ok(
              [...listed].every((each) => all.includes(each)),
              'a rule shows nothing that was not there',
            );
          }
          // oxlint-disable-next-line no-await-in-loop
          const [all = 0, ...single] = counts;
          assert.equal(
            all,
            single.reduce((sum, count) => sum + count, 0),
            'a rule means the same in every view',
          );
        } finally {
          await Promise.all(cleanups.map((clean) => clean()));
        }
      }),
      { numRuns: 300 },
    );
  },
);

verifies(
  'limits.calls',
  'a call over a limit of a server, a tool or in progress is an error with a time to wait',
  async (t) => {
    const limits = { rate: undefined, burst: undefined, concurrent: undefined, tools: [] };
    const config = configWith({});
    const alice = config.principals.find(({ id }) => id === 'alice');
    assert.ok(alice);
    const per = { rate: { count: 1, perMs: 60_000 }, burst: undefined, concurrent: undefined };
    const server = { ...stdioServer('mail'), limits: { ...limits, rate: { count: 2, perMs: 1_000 } } };
    const limited: Principal = {
      ...alice,
      servers: new Map([...alice.servers, ['mail', server]]),
      limits: { ...limits, concurrent: 2, tools: [{ pattern: 'files__re*', ...per }] },
    };
    const principals = config.principals.map((each) => (each === alice ? limited : each));
    const world = startWorld(
      t,
      { ...config, principals, makeLimiter: createRateLimiter },
      { files: OFFER, mail: { tools: tools('list') } },
    );
    for (const only of [undefined, 'files']) {
      const view = world.view('alice', only);
      const prefix = only === undefined ? 'files__' : '';
      if (only === undefined) await result(view, 'tools/call', { name: `${prefix}read` });
      const over = await errorOf(view, 'tools/call', { name: `${prefix}read` });
      assert.deepEqual([over.code, (over.data as { code: string }).code], [429, 'RATE_LIMITED']);
      assert.equal((over.data as { retry_after_ms: number }).retry_after_ms, 60_000);
      await result(view, 'tools/call', { name: `${prefix}list` });
    }
    const view = world.view();
    await result(view, 'tools/call', { name: 'mail__list' });
    await result(view, 'tools/call', { name: 'mail__list' });
    assert.match(
      (await errorOf(view, 'tools/call', { name: 'mail__list' })).message,
      /^server mail has used up the limit of 2\/s/,
    );

    let free: () => void = () => undefined;
    const held = new Promise<undefined>((resolve) => (free = () => resolve(undefined)));
    world.peer('files').answer = ({ method }) => (method === 'tools/call' ? held : undefined);
    const calls = [ask(view, 'tools/call', { name: 'files__list' }), ask(view, 'tools/call', { name: 'files__list' })];
    assert.match(
      (await errorOf(view, 'tools/call', { name: 'files__list' })).message,
      /^user alice has 2 calls in progress/,
    );
    free();
    await Promise.all(calls);
    await result(view, 'tools/call', { name: 'files__list' });
  },
);
