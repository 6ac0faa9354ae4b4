/**
 * The official conformance suite through mcproxy: every check of every scenario has the status it has without.
 *
 * The suite runs first against the fixture itself, so that a scenario which the fixture fails cannot hide behind
 * mcproxy and the other way round. Scenarios that the suite does not score are compared too.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { join } from 'node:path';
import { differences, passedScenarios, runConformance, type RequirementSet } from '../support/conformance.ts';
import { startConformanceFixture } from '../support/peers.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir, type Cleanup } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';

const TOKEN = 'contract-conformance-token-0123456789';

const fixture = await startConformanceFixture({ after });
const users = { suite: { token: TOKEN, servers: { fixture: { url: fixture.url } } } };
const app = await startApp({ after }, { files: { 'tokens.yml': JSON.stringify({ users }) } });

verifies('contract.conformance-2025-11-25', 'no check of 2025-11-25 differs through mcproxy', (context) =>
  assertTransparent(context, { requirements: '2025-11-25', scenarioCount: 33, passedCount: 33 }),
);

verifies('contract.conformance-2026-07-28', 'no check of 2026-07-28 differs through mcproxy', (context) =>
  // Of the scenarios that are not scored, nine are about an extension that the fixture does not have.
  assertTransparent(context, { requirements: '2026-07-28', scenarioCount: 50, passedCount: 41 }),
);

test('two runs that differ in one check are told apart', () => {
  const check = { status: 'SUCCESS', message: '' };
  const direct = new Map([
    ['ping', new Map([['ping-answered', check]])],
    ['tools-list', new Map([['tools-listed', check]])],
  ]);
  const proxied = new Map([['ping', new Map([['ping-answered', { status: 'FAILURE', message: 'no answer' }]])]]);
  assert.deepEqual(differences(direct, direct), []);
  assert.deepEqual(differences(direct, proxied), [
    'ping :: ping-answered: SUCCESS -> FAILURE no answer',
    'tools-list :: tools-listed: SUCCESS -> absent',
  ]);
});

interface Expectation {
  readonly requirements: RequirementSet;
  /** Scenarios of the set, scored or not. */
  readonly scenarioCount: number;
  /** Scenarios that the fixture itself passes. */
  readonly passedCount: number;
}

async function assertTransparent(cleanup: Cleanup, expectation: Expectation): Promise<void> {
  const { requirements, scenarioCount, passedCount } = expectation;
  const dir = makeTempDir(cleanup);
  const direct = await runConformance({ url: fixture.url, what: { requirements }, outDir: join(dir, 'direct') });
  assert.equal(direct.exitCode, 0, direct.summary);
  assert.equal(direct.run.size, scenarioCount);
  assert.equal(passedScenarios(direct.run).length, passedCount, direct.summary);

  const proxied = await runConformance({
    url: `${app.url}/fixture/mcp`,
    what: { requirements },
    outDir: join(dir, 'proxied'),
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  assert.deepEqual(differences(direct.run, proxied.run), []);
  assert.equal(proxied.exitCode, 0, proxied.summary);
}
