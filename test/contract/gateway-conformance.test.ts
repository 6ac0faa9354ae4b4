/**
 * The official conformance suite through the gateway: a server behind it passes the checks that it passes directly.
 *
 * Over stdio the fixture stands behind the whole process, at `/fixture/mcp`. Over HTTP that path is the relay's, so
 * there the gateway and its client's side run in the test, without the door. What still differs is a row of the
 * baseline, with the reason; a row that does not differ any more fails the test, so that it gets removed.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeSealer } from '../../src/auth/seal.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import { openRemotePeer } from '../../src/upstream/remote-peer.ts';
import { differences, passedScenarios, runConformance, type RequirementSet } from '../support/conformance.ts';
import { startDownstream } from '../support/downstream-server.ts';
import { startConformanceFixture } from '../support/peers.ts';
import { remoteAt } from '../support/remote-server.ts';
import { configOf } from '../support/scripted-peer.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir, type Cleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

const TOKEN = 'gateway-conformance-token-0123456789';
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Scenarios of each set that the fixture passes by itself; see `conformance.test.ts`. */
const PASSED_COUNT: Readonly<Record<RequirementSet, number>> = { '2025-11-25': 33, '2026-07-28': 41 };

interface Difference {
  /** As `differences` writes it, from the start. */
  readonly line: string;
  readonly reason: string;
}

const BASELINE: Readonly<Record<RequirementSet, readonly Difference[]>> = {
  '2025-11-25': [
    {
      line: 'server-sse-polling :: server-sse-disconnect-resume: SUCCESS -> INFO',
      reason:
        'The tool of the fixture cuts its own HTTP connection to be polled. Here the connection is that of the gateway, ' +
        'which waits for the tool and keeps the stream open, so that the answer arrives on it and nobody has to come ' +
        'back. That a client may come back, when its connection breaks, is tested in gateway-resume.test.ts.',
    },
  ],
  '2026-07-28': [],
};

/** Over HTTP only, where the door is not part of what is tested; over stdio it is. */
const WITHOUT_DOOR: readonly Difference[] = [
  {
    line: 'dns-rebinding-protection :: localhost-host-rebinding-rejected: SUCCESS -> FAILURE Expected HTTP 4xx for invalid Host/Origin headers, got 200',
    reason: 'Host and Origin are checked by the door (http/guard), which stands before both paths.',
  },
];

const fixture = await startConformanceFixture({ after });
const direct = {
  '2025-11-25': await runSet({ after }, '2025-11-25', fixture.url),
  '2026-07-28': await runSet({ after }, '2026-07-28', fixture.url),
};
const stdioUrl = await startOverStdio();
const httpUrl = await startOverHttp();

verifies(
  'gateway.conformance.stdio-2025-11-25',
  'a server over stdio passes what it passes over HTTP, 2025-11-25',
  (context) => assertSame(context, '2025-11-25', { url: stdioUrl }),
);
verifies(
  'gateway.conformance.stdio-2026-07-28',
  'a server over stdio passes what it passes over HTTP, 2026-07-28',
  (context) => assertSame(context, '2026-07-28', { url: stdioUrl }),
);
verifies(
  'gateway.conformance.http-2025-11-25',
  'a server over HTTP passes the same through the gateway, 2025-11-25',
  (context) => assertSame(context, '2025-11-25', { url: httpUrl, baseline: WITHOUT_DOOR }),
);
verifies(
  'gateway.conformance.http-2026-07-28',
  'a server over HTTP passes the same through the gateway, 2026-07-28',
  (context) => assertSame(context, '2026-07-28', { url: httpUrl, baseline: WITHOUT_DOOR }),
);

interface Through {
  readonly url: string;
  /** Differences besides those of the set. */
  readonly baseline?: readonly Difference[];
}

async function assertSame(cleanup: Cleanup, requirements: RequirementSet, through: Through): Promise<void> {
  const expected = direct[requirements];
  assert.equal(passedScenarios(expected.run).length, PASSED_COUNT[requirements], expected.summary);
  const { run, summary } = await runSet(cleanup, requirements, through.url);
  const known = [...BASELINE[requirements], ...(through.baseline ?? [])].map(({ line }) => line);
  assert.deepEqual(differences(expected.run, run).toSorted(), known.toSorted(), summary);
}

function runSet(cleanup: Cleanup, requirements: RequirementSet, url: string): ReturnType<typeof runConformance> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  return runConformance({ url, what: { requirements }, outDir: makeTempDir(cleanup), headers });
}

async function startOverStdio(): Promise<string> {
  const args = ['--import', import.meta.resolve('tsx'), join(ROOT, 'test/peers/conformance-fixture.ts'), 'stdio'];
  const settings = {
    listen: '127.0.0.1:0',
    log: { file: 'access.log' },
    admin: { socket: 'admin.sock' },
    servers: { fixture: { command: process.execPath, args } },
  };
  const users = { suite: { token: TOKEN, servers: { fixture: {} } } };
  const files = { 'mcproxy.yml': JSON.stringify(settings), 'tokens.yml': JSON.stringify({ users }) };
  const app = await startApp({ after }, { files });
  return `${app.url}/fixture/mcp`;
}

async function startOverHttp(): Promise<string> {
  const remote = await remoteAt({ after }, fixture.url, { name: 'fixture' });
  const { clock, onDiag } = remote;
  const config = configOf([remote.server]);
  const [principal] = config.principals;
  assert.ok(principal);
  const gateway = createGateway({
    config,
    clock,
    onDiag,
    sealer: makeSealer(Buffer.alloc(32, 7)),
    openPeer: () => openRemotePeer(remote),
  });
  const server = await startDownstream(gateway.view(principal, 'fixture'));
  after(async () => {
    await server.close();
    await gateway.close();
    assert.deepEqual(server.internal, []);
  });
  return `${server.url}/fixture/mcp`;
}
