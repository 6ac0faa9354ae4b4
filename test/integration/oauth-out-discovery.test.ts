/**
 * Where tokens for a server come from: metadata of real servers, true and false, and what commands say about it.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after } from 'node:test';
import { createGrants } from '../../src/auth/grants.ts';
import { findTokenEndpoint } from '../../src/auth/token-endpoint.ts';
import { ProxyError } from '../../src/errors.ts';
import type { OAuthClient } from '../../src/model.ts';
import { requestControl } from '../../src/upstream/control.ts';
import { SECRET_OF_CLIENT, startAuthorizationServer } from '../support/authorization-server.ts';
import { entryOf, PATHS, refreshEntryOf, who } from '../support/guarded-app.ts';
import { startGuarded } from '../support/guarded-server.ts';
import { OAUTH_CLIENT } from '../support/oauth-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { httpServer } from '../support/scripted-peer.ts';
import { runCommand, startApp } from '../support/start-app.ts';
import { writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const issuer = await startAuthorizationServer({ after });
const tenant = await startAuthorizationServer({ after }, 'RS256', { path: '/tenant' });
after(() => checkNothingLeft());

const filesOf = (up: string): Record<string, string> => ({
  'mcproxy.yml': settingsFile({ up }),
  'tokens.yml': usersFile({ alice: '"*"' }),
});

for (const place of ['path', 'root', 'challenge'] as const) {
  for (const { name, from } of [
    { name: 'an issuer without path', from: issuer },
    { name: 'an issuer with a path', from: tenant },
  ]) {
    verifies('oauth-out.discovery', `metadata at ${place} leads to ${name}`, async (t) => {
      const server = await startGuarded(t, { issuer: from, place });
      const app = await startApp(t, { files: filesOf(entryOf(server)) });
      for (const path of PATHS) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        assert.match((await who(app, path)).text(), /client gateway/);
      }
    });
  }
}

verifies('oauth-out.discovery', 'with token_url nobody is asked for metadata', async (t) => {
  const server = await startGuarded(t, { issuer });
  const more = `, token_url: "${issuer.issuer}/token", scopes: [other]`;
  const app = await startApp(t, { files: filesOf(entryOf(server, more)) });
  const before = issuer.asked.length;
  assert.match((await who(app)).text(), /client gateway/);
  assert.deepEqual(
    issuer.asked.slice(before).filter((path) => path !== '/token/introspection'),
    ['/token'],
  );
  const { requests } = server.upstream;
  assert.ok(requests.every(({ url, values }) => url === '/opaque/mcp' && values('authorization').length === 1));
  assert.equal((await issuer.introspect(server.tokens()[0] ?? ''))?.scope, 'other');
});

for (const { name, metadata, reason } of [
  {
    name: 'resource metadata of another server',
    metadata: { resource: 'https://elsewhere.example/mcp' },
    reason: /its resource metadata is about another server/,
  },
  {
    name: 'resource metadata of a sibling',
    metadata: { path: '/opaque/mc' },
    reason: /its resource metadata is about another server/,
  },
  {
    name: 'an issuer that names itself otherwise',
    metadata: { authorization_servers: [`${issuer.issuer}/`] },
    reason: /its metadata names another issuer/,
  },
  {
    name: 'resource metadata without an authorization server',
    metadata: { authorization_servers: [] },
    reason: /does not say which authorization server it trusts; write \\?"token_url\\?" under auth/,
  },
]) {
  verifies('oauth-out.discovery-refused', `${name} gets no secret`, async (t) => {
    const found: { resource?: string } = {};
    const server = await startGuarded(t, { issuer, metadata: Object.assign(found, metadata) });
    if ('path' in metadata) found.resource = server.upstream.url + metadata.path;
    const app = await startApp(t, { files: filesOf(entryOf(server)) });
    const before = issuer.asked.filter((path) => path === '/token').length;
    const answer = await who(app);
    assert.equal(answer.status, 503);
    assert.match(answer.text(), reason);
    assert.equal(issuer.asked.filter((path) => path === '/token').length, before);
    assert.equal(server.tokens().length, 0);
  });
}

verifies('oauth-out.discovery-refused', 'a server that names another issuer later gets it no secret', async (t) => {
  const metadata: { authorization_servers?: string[] } = {};
  const server = await startGuarded(t, { issuer, metadata });
  const thief = await startUpstream(t, {
    answer: ({ response }) => {
      const body = { issuer: thief.url, token_endpoint: `${thief.url}/token` };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    },
  });
  const app = await startApp(t, { files: filesOf(entryOf(server)) });
  assert.equal((await who(app)).status, 200);
  metadata.authorization_servers = [thief.url];
  await app.stop();
  // A restart without a state directory knows nothing of the first one: with `issuer` it does.
  writeFiles(app.dir, filesOf(entryOf(server, `, issuer: "${issuer.issuer}"`)));
  const second = await startApp(t, { dir: app.dir, env: { STATE_DIRECTORY: join(app.dir, 'state') } });
  const refused = await who(second);
  assert.equal(refused.status, 502);
  assert.match(refused.text(), /names another authorization server .* than \\?"issuer/);
  metadata.authorization_servers = [thief.url, issuer.issuer];
  await waitFor(async () => (await who(second)).status === 200, { deadlineMs: 10_000, what: 'the right issuer' });
  await second.stop();

  const env = { STATE_DIRECTORY: join(app.dir, 'other-state') };
  metadata.authorization_servers = [issuer.issuer];
  writeFiles(app.dir, filesOf(entryOf(server)));
  const third = await startApp(t, { dir: app.dir, env });
  assert.equal((await who(third)).status, 200);
  metadata.authorization_servers = [thief.url];
  await third.stop();
  server.refuse();
  const fourth = await startApp(t, { dir: app.dir, env });
  const changed = await who(fourth);
  assert.match(changed.text(), /names another authorization server than before \(http/);
  assert.equal(thief.requests.length, 0);
});

const CLOCK = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

const CLIENT: OAuthClient = { ...OAUTH_CLIENT, tokenUrl: undefined };

verifies(
  'oauth-out.no-private',
  'metadata, issuers and token endpoints in private networks are not asked',
  async (t) => {
    const trap = await startUpstream(t);
    const serverUrl = 'https://mcp.example.com/mcp';
    const https = trap.url.replace('http:', 'https:');
    const documents: Record<string, unknown> = {
      'https://mcp.example.com/good': { resource: serverUrl, authorization_servers: ['https://as.example.com'] },
      'https://mcp.example.com/private': { resource: serverUrl, authorization_servers: [https] },
      'https://as.example.com/.well-known/oauth-authorization-server': {
        issuer: 'https://as.example.com',
        token_endpoint: `${https}/token`,
      },
    };
    // What is public is answered here, because a test has no public address; all else is asked as it always is.
    const ask: typeof requestControl = async (asked) =>
      asked.url in documents
        ? { status: 200, body: documents[asked.url], maxAgeSeconds: undefined }
        : requestControl(asked);
    const find = (metadata: string) =>
      findTokenEndpoint({
        client: CLIENT,
        serverUrl,
        knownIssuer: undefined,
        ask,
        clock: CLOCK,
        challenge: async () => `Bearer resource_metadata="${metadata}"`,
      });
    for (const metadata of [`${https}/metadata`, `${trap.url}/metadata`, 'https://mcp.example.com/private']) {
      // oxlint-disable-next-line no-await-in-loop
      await assert.rejects(find(metadata), /not on the public internet|has to be https/);
    }
    const grants = createGrants({
      clock: CLOCK,
      ask,
      challenge: async () => 'Bearer resource_metadata="https://mcp.example.com/good"',
      labelOf: () => 'server up',
      storeOf: () => ({ read: async () => undefined, write: async () => undefined }),
      redact: (text) => text,
      hide: () => () => undefined,
      onDiag: () => undefined,
    });
    const server = httpServer('up', { url: serverUrl, credential: { type: 'oauth', client: CLIENT } });
    await assert.rejects(
      grants.outgoing(server, CLIENT).renewal?.prepare() ?? Promise.resolve(),
      (error) => error instanceof ProxyError && /not on the public internet/.test(error.message),
    );
    assert.equal(trap.requests.length, 0);
  },
);

verifies('oauth-out.no-private', 'check --connect says that allow_private is missing', async (t) => {
  const server = await startGuarded(t, { issuer });
  const entry = entryOf(server).replace(', allow_private: true', '');
  const app = await startApp(t, { files: filesOf(entry) });
  const { code, stdout } = await runCommand(['check', '--connect', '--config', app.dir]);
  assert.equal(code, 69);
  assert.match(stdout, /FAILED up: no access token for server up: .*allow_private/);
});

for (const { client, more } of [
  { client: 'gateway', more: '' },
  { client: 'poster', more: ', client_auth: post' },
]) {
  verifies('oauth-out.client-auth', `the client ${client} proves itself as it has to`, async (t) => {
    const server = await startGuarded(t, { issuer });
    const app = await startApp(t, { files: filesOf(entryOf(server, more, client)) });
    const answer = await who(app);
    assert.match(answer.text(), new RegExp(`client ${client}`));
  });
}

verifies('oauth-out.client-auth', 'the secret goes into the form where the metadata offers nothing else', async (t) => {
  const form = await startUpstream(t, {
    answer: ({ request, response }) => {
      const metadata = {
        issuer: form.url,
        token_endpoint: `${form.url}/token`,
        token_endpoint_auth_methods_supported: ['client_secret_post'],
      };
      const token = { access_token: 'a-token-of-the-form', token_type: 'Bearer', expires_in: '600' };
      const body = request.url === '/token' ? token : metadata;
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    },
  });
  const server = await startGuarded(t, {
    issuer,
    metadata: {
      get authorization_servers() {
        return [form.url];
      },
    },
  });
  const app = await startApp(t, { files: filesOf(entryOf(server)) });
  await who(app);
  const asked = form.requests.find(({ url }) => url === '/token');
  assert.deepEqual(asked?.values('authorization'), []);
  const sent = new URLSearchParams(asked?.text());
  assert.deepEqual(
    [sent.get('client_id'), sent.get('client_secret'), sent.get('resource')],
    ['gateway', SECRET_OF_CLIENT, server.url],
  );
  assert.deepEqual(server.tokens(), ['a-token-of-the-form']);
});

verifies('oauth-out.commands', 'commands say where tokens come from, and why there are none', async (t) => {
  const server = await startGuarded(t, { issuer });
  const broken = entryOf(server, `, token_url: "${issuer.issuer}/token"`).replace(
    SECRET_OF_CLIENT,
    'wrong-secret-012345',
  );
  const app = await startApp(t, {
    files: {
      'mcproxy.yml': settingsFile({ up: entryOf(server), broken }),
      'tokens.yml': usersFile({
        alice: '"*"',
        bob: `{ up: ${refreshEntryOf(server, 'refresh-token-of-bob', 'bob')} }`,
      }),
    },
  });
  const run = (...args: string[]) => runCommand([...args, '--config', app.dir], { dir: app.dir });
  const why = await run('why', 'alice', 'up');
  assert.equal(why.code, 0, why.stderr);
  assert.match(
    why.stdout,
    /credential {2}Authorization: Bearer \*{4} \(an access token of the authorization server that the server names, by client credentials of the client gateway\) \(shared, .*mcproxy\.yml:\d+:\d+\)/,
  );
  assert.match((await run('why', 'bob', 'up')).stdout, /by a refresh token of the client bob\) \(user, .*tokens\.yml/);
  assert.match((await run('why', 'alice', 'broken')).stdout, /an access token of http:\/\/127\.0\.0\.1:\d+, by/);
  const checked = await run('check', '--connect');
  assert.equal(checked.code, 69);
  assert.match(checked.stdout, /ok {4} up: reachable, MCP 2026-07-28/);
  assert.match(checked.stdout, /FAILED broken: no access token for server broken: .* refuses it \(invalid_client\)/);
  const tools = await run('tools', 'up', '--no-service');
  assert.match(tools.stdout, /up__who/, tools.stderr);
  for (const { stdout, stderr } of [why, checked, tools]) {
    for (const secret of [SECRET_OF_CLIENT, 'refresh-token-of-bob', ...server.tokens()])
      assert.ok(!(stdout + stderr).includes(secret));
  }
});
