/**
 * The official clients 1 and 2 and the conformance suite against mcproxy as an authorization server: from the URL alone
 * to a call, with the client's own discovery, registration, PKCE and checks. The person's part is played by
 * `support/facade`; the clients' documents (CIMD) stand behind TLS.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { compareText } from '../../src/text/order.ts';
import { ALICE, approve, CALLBACK, register, startFacade } from '../support/facade.ts';
import { send } from '../support/http-client.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startEverything } from '../support/peers.ts';
import { findClosedPort } from '../support/ports.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TLS = join(ROOT, 'test/peers/tls');

/** Publishes the metadata document of a client. */
const documents = createServer(
  { key: readFileSync(join(TLS, 'key.pem')), cert: readFileSync(join(TLS, 'cert.pem')) },
  (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ...METADATA, client_id: `${published()}${request.url ?? ''}` }));
  },
);
documents.listen(0, '127.0.0.1');
await once(documents, 'listening');
after(() => {
  documents.closeAllConnections();
  documents.close();
});
const published = (): string => `https://127.0.0.1:${(documents.address() as AddressInfo).port}`;

const METADATA = {
  client_name: 'contract-test',
  redirect_uris: [CALLBACK],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
};

const everything = await startEverything({ after }, 'streamableHttp');
const facade = await startFacade(
  { after },
  {
    servers: { tools: `{ url: "${everything.url}" }` },
    oauth: '{ facade: true, allow_private: true }',
    env: { NODE_EXTRA_CA_CERTS: join(TLS, 'cert.pem') },
  },
);
after(() => checkNothingLeft());

interface Kept {
  client?: unknown;
  tokens?: { access_token: string; refresh_token?: string };
  verifier?: string;
  asked?: URL;
}

/** What a client keeps, in the form that both versions want. @param document where its metadata are, else it registers */
function makeProvider(kept: Kept, document?: string): never {
  return {
    redirectUrl: CALLBACK,
    clientMetadata: METADATA,
    ...(document === undefined ? {} : { clientMetadataUrl: document }),
    state: () => 'state-of-the-client',
    clientInformation: () => kept.client,
    saveClientInformation: (client: unknown) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens: Kept['tokens']) => void (kept.tokens = tokens as NonNullable<Kept['tokens']>),
    redirectToAuthorization: (url: URL) => void (kept.asked = url),
    saveCodeVerifier: (verifier: string) => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier ?? '',
    // Each version has a type of its own for what is the same.
  } as never;
}

async function comeBack(kept: Kept): Promise<URL> {
  const back = await approve(kept.asked?.href ?? assert.fail('the client asked nobody'), ALICE);
  assert.equal(back.searchParams.get('state'), 'state-of-the-client');
  return back;
}

async function connect1(path: string, kept: Kept, document?: string): Promise<Client1> {
  const url = new URL(facade.url + path);
  const authProvider = makeProvider(kept, document);
  const first = new Http1(url, { authProvider });
  if (kept.tokens === undefined) {
    await assert.rejects(new Client1({ name: 'contract-test', version: '1.0.0' }).connect(first));
    await first.finishAuth((await comeBack(kept)).searchParams.get('code') ?? '');
    await first.close();
  }
  const client = new Client1({ name: 'contract-test', version: '1.0.0' });
  await client.connect(new Http1(url, { authProvider }));
  return client;
}

async function connect2(path: string, kept: Kept, document?: string): Promise<Client2> {
  const url = new URL(facade.url + path);
  const authProvider = makeProvider(kept, document);
  const first = new Http2(url, { authProvider });
  if (kept.tokens === undefined) {
    await assert.rejects(new Client2({ name: 'contract-test', version: '1.0.0' }).connect(first));
    // All parameters: this client compares `iss` with the issuer that it found.
    await first.finishAuth((await comeBack(kept)).searchParams);
    await first.close();
  }
  const client = new Client2({ name: 'contract-test', version: '1.0.0' });
  await client.connect(new Http2(url, { authProvider }));
  return client;
}

for (const [name, connect] of [
  ['1', connect1],
  ['2', connect2],
] as const) {
  for (const path of ['/mcp', '/tools/mcp']) {
    for (const by of ['registration', 'document'] as const) {
      verifies('facade.sdk', `client ${name} logs in at ${path} by ${by} and calls`, async () => {
        const kept: Kept = {};
        const document = by === 'document' ? `${published()}/client-${name}.json` : undefined;
        const client = await connect(path, kept, document);
        const { tools } = await client.listTools();
        assert.ok(tools.some((tool) => tool.name.endsWith('echo')));
        await client.close();
        const { client_id: clientId } = kept.client as { client_id: string };
        assert.ok(by === 'document' ? clientId === document : clientId.startsWith('mcpclient_'));
        assert.equal(kept.asked?.searchParams.get('resource'), facade.url + path);
      });
    }
  }

  verifies('facade.sdk', `client ${name} renews its access token by itself`, async () => {
    const kept: Kept = {};
    await (await connect('/mcp', kept)).close();
    const before = kept.tokens ?? assert.fail();
    kept.tokens = { ...before, access_token: `${before.access_token.slice(0, -4)}AAAA` };
    const client = await connect('/mcp', kept);
    assert.ok((await client.listTools()).tools.length > 0);
    await client.close();
    assert.notEqual(kept.tokens.refresh_token, before.refresh_token);
  });

  verifies('facade.sdk', `client ${name} registers anew where its registration is unknown`, async () => {
    const kept: Kept = { client: { client_id: 'of-an-earlier-key', issuer: facade.url } };
    const page = await send(`${facade.url}/oauth/authorize?client_id=of-an-earlier-key&redirect_uri=${CALLBACK}`);
    assert.match(page.text(), /it has to register again/);
    kept.client = undefined;
    await (await connect('/mcp', kept)).close();
  });
}

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

verifies('facade.conformance', 'the authorization server scenarios of the conformance suite pass', async (t) => {
  const port = await findClosedPort();
  const clientId = await register(facade.url, { redirect_uris: [`http://127.0.0.1:${port}/callback`] });
  const out = join(makeTempDir(t), 'out');
  mkdirSync(out);
  const suite = join(ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
  const preload = join(ROOT, 'test/peers/conformance/node20.mjs');
  const args = ['authorization', '--url', facade.url, '--client-id', clientId, '--port', String(port), '-o', out];
  const child = spawn(process.execPath, ['--import', preload, suite, ...args, '--resource', `${facade.url}/mcp`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  const ended = once(child, 'close');
  const asked = (): string | undefined => /^http\S+\/oauth\/authorize\?\S+$/m.exec(text)?.[0];
  await waitFor(asked, { deadlineMs: 30_000, what: 'the URL to open in a browser' });
  const url = asked() ?? '';
  assert.equal((await send((await approve(url, ALICE)).href)).status, 200);
  const [exitCode] = (await ended) as [number];
  assert.equal(exitCode, 0, text);
  const checks = readdirSync(out, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('checks.json'))
    .flatMap((name) => JSON.parse(readFileSync(join(out, name), 'utf8')) as Check[]);
  assert.deepEqual(
    checks.map(({ id, status, errorMessage }) => `${id} ${status} ${errorMessage ?? ''}`.trim()).toSorted(compareText),
    [
      'authorization-code-grant SUCCESS',
      'authorization-server-metadata SUCCESS',
      'authorization-server-metadata-cimd SUCCESS',
    ],
  );
});
