import assert from 'node:assert/strict';
import { createClients, type Clients, type Found } from '../../src/auth/facade-clients.ts';
import { createSeals } from '../../src/auth/facade-seals.ts';
import { makeSealer } from '../../src/auth/seal.ts';
import { ProxyError } from '../../src/errors.ts';
import {
  CLIENT_DOCUMENT_ASKED_EACH_MAX,
  CLIENT_DOCUMENT_ASKED_MAX,
  CLIENT_DOCUMENT_COUNT_MAX,
  CLIENT_DOCUMENT_KEEP_MS,
  CLIENT_DOCUMENT_MS_MAX,
} from '../../src/limits.ts';
import { verifies } from '../support/verifies.ts';

const URL_OF_CLIENT = 'https://client.example/oauth/client.json';
const SOUND = { client_id: URL_OF_CLIENT, client_name: 'Client', redirect_uris: ['https://client.example/back'] };

interface World {
  readonly clients: Clients;
  readonly asked: string[];
  find(url?: string, from?: string): Promise<Found>;
  wait(ms: number): void;
}

function open(answer: (url: string) => Promise<{ status: number; body: unknown }>): World {
  let nowMs = 0;
  const asked: string[] = [];
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const clients = createClients({
    seals: createSeals(makeSealer(Buffer.alloc(32, 1)), 'https://mcp.example.com', clock),
    clock,
    allowPrivate: false,
    ask({ url, allowPrivate, msMax }) {
      assert.deepEqual([allowPrivate, msMax], [false, CLIENT_DOCUMENT_MS_MAX]);
      asked.push(url);
      return answer(url);
    },
  });
  return {
    clients,
    asked,
    find: async (url = URL_OF_CLIENT, from = '192.0.2.1') => clients.find(url, from),
    wait: (ms) => void (nowMs += ms),
  };
}

const documents: readonly (readonly [name: string, body: unknown, fault: RegExp | undefined])[] = [
  ['sound', SOUND, undefined],
  ['public by its method', { ...SOUND, token_endpoint_auth_method: 'none' }, undefined],
  [
    'public if need be',
    {
      ...SOUND,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    },
    undefined,
  ],
  ['confidential', { ...SOUND, token_endpoint_auth_method: 'private_key_jwt' }, /a key/],
  ['with a secret', { ...SOUND, client_secret: 'x' }, /secret/],
  ['of another URL', { ...SOUND, client_id: 'https://client.example/oauth/other.json' }, /not the URL/],
  ['of the URL in another form', { ...SOUND, client_id: 'https://CLIENT.example/oauth/client.json' }, /not the URL/],
  ['without a client_id', { redirect_uris: SOUND.redirect_uris }, /not the URL/],
  ['without redirect URIs', { client_id: URL_OF_CLIENT }, /redirect_uris/],
  ['with a script', { ...SOUND, redirect_uris: ['javascript:x'] }, /scheme/],
  ['no object', [SOUND], /no JSON object/],
  ['no JSON', undefined, /no JSON object/],
];
for (const [name, body, fault] of documents) {
  verifies('facade.cimd', `a document that is ${name} is ${fault === undefined ? 'a client' : 'refused'}`, async () => {
    const found = await open(() => Promise.resolve({ status: 200, body })).find();
    if (fault === undefined) assert.deepEqual('client' in found && found.client.name, 'Client');
    else assert.match('fault' in found ? found.fault : '', fault);
  });
}

verifies('facade.cimd', 'a document is asked for once in its time, by however many', async () => {
  const world = open(() => Promise.resolve({ status: 200, body: SOUND }));
  await Promise.all(Array.from({ length: 20 }, () => world.find()));
  world.wait(CLIENT_DOCUMENT_KEEP_MS - 1);
  await world.find();
  assert.equal(world.asked.length, 1);
  world.wait(1);
  await world.find();
  assert.equal(world.asked.length, 2);
});

verifies('facade.cimd', 'that there is none is remembered too, and why is for the log alone', async () => {
  const world = open(() => Promise.reject(new ProxyError('ISSUER_UNREACHABLE', 'secret.internal is 10.0.0.1')));
  const found = await world.find();
  assert.ok('fault' in found && !found.fault.includes('internal') && found.why?.includes('internal'));
  await world.find();
  assert.equal(world.asked.length, 1);
});

verifies('facade.cimd', 'so many are asked for at once, and fewer for one address', async () => {
  const waiting: (() => void)[] = [];
  const world = open((url) => new Promise((resolve) => void waiting.push(() => resolve({ status: 404, body: url }))));
  const ask = (at: number, from: string): Promise<Found> => world.find(`https://client.example/${at}`, from);
  const isRefused = async (found: Promise<Found>): Promise<void> =>
    assert.match(((await found) as { fault: string }).fault, /too many/);
  const found = Array.from({ length: CLIENT_DOCUMENT_ASKED_EACH_MAX }, (_, at) => ask(at, 'greedy'));
  await isRefused(ask(1_000, 'greedy'));
  for (let at = found.length; at < CLIENT_DOCUMENT_ASKED_MAX; at += 1) found.push(ask(at, `somebody ${at}`));
  await isRefused(ask(1_001, 'the last'));
  // Who waits for the same waits with them.
  found.push(ask(0, 'the last'));
  for (const answer of waiting) answer();
  await Promise.all(found);
  assert.equal(world.asked.length, CLIENT_DOCUMENT_ASKED_MAX);
});

verifies('facade.cimd', 'so many are remembered and no more', async () => {
  const world = open(() => Promise.resolve({ status: 404, body: undefined }));
  for (let at = 0; at <= CLIENT_DOCUMENT_COUNT_MAX; at += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, below the bound of those at once
    await world.find(`https://client.example/${at}`);
  }
  await world.find(`https://client.example/${CLIENT_DOCUMENT_COUNT_MAX}`);
  assert.equal(world.asked.length, CLIENT_DOCUMENT_COUNT_MAX + 1);
  await world.find('https://client.example/0');
  assert.equal(world.asked.length, CLIENT_DOCUMENT_COUNT_MAX + 2);
});

verifies('facade.cimd', 'URLs that name no client push out none that does', async () => {
  const world = open((url) =>
    Promise.resolve(url === URL_OF_CLIENT ? { status: 200, body: SOUND } : { status: 404, body: 0 }),
  );
  await world.find();
  for (let at = 0; at <= CLIENT_DOCUMENT_COUNT_MAX; at += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, below the bound of those at once
    await world.find(`https://client.example/${at}`);
  }
  const before = world.asked.length;
  await world.find();
  assert.equal(world.asked.length, before);
});

for (const url of [
  'http://client.example/c',
  'https://client.example',
  'https://client.example/',
  'https://client.example/a/../c',
  'https://client.example/./c',
  'https://me@client.example/c',
  'https://client.example/c#x',
  'https://client.example/c c',
]) {
  verifies('facade.cimd', `${url} is asked for nothing`, async () => {
    const world = open(() => Promise.resolve({ status: 200, body: SOUND }));
    assert.ok('fault' in (await world.find(url)));
    assert.equal(world.asked.length, 0);
  });
}
