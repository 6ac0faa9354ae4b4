/**
 * The scenarios of the conformance suite for the tasks extension, at a server with tasks and through the gateway.
 *
 * The suite does not count them into its sets yet. The fixture passes all of them by itself, over HTTP; behind the
 * gateway it runs over stdio, so that every message is made anew.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { differences, passedScenarios, runConformance, type Run } from '../support/conformance.ts';
import { settingsFile, usersFile } from '../support/message-app.ts';
import { startTasksFixture } from '../support/peers.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';

const FIXTURE = fileURLToPath(new URL('../peers/tasks-fixture.ts', import.meta.url));

/** `tasks-status-notifications` checks nothing yet. */
const SCENARIOS = [
  'tasks-lifecycle',
  'tasks-capability-negotiation',
  'tasks-wire-fields',
  'tasks-request-state-removal',
  'tasks-mrtr-input',
  'tasks-request-headers',
  'tasks-dispatch-and-envelope',
  'tasks-required-task-error',
  'tasks-mrtr-composition',
];

async function runAll(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Run> {
  const run = new Map<string, ReadonlyMap<string, { status: string; message: string }>>();
  for (const scenario of SCENARIOS) {
    // oxlint-disable-next-line no-await-in-loop -- two at a time are enough, one on each way
    const result = await runConformance({ url, what: { scenario }, outDir: makeTempDir({ after }), headers });
    for (const [name, checks] of result.run) run.set(name, checks);
  }
  return run;
}

verifies('gateway.conformance.tasks', 'a server with tasks passes the same through the gateway', async (t) => {
  const fixture = await startTasksFixture(t);
  const args = ['--import', import.meta.resolve('tsx'), FIXTURE, 'stdio'];
  const tasks = `{ command: ${process.execPath}, args: ${JSON.stringify(args)} }`;
  const files = { 'mcproxy.yml': settingsFile({ tasks }), 'tokens.yml': usersFile({ alice: '"*"' }) };
  const app = await startApp(t, { files });
  const authorization = `Bearer ${tokenOf('alice')}`;
  const [direct, through] = await Promise.all([runAll(fixture.url), runAll(`${app.url}/tasks/mcp`, { authorization })]);
  assert.deepEqual(passedScenarios(direct).toSorted(), SCENARIOS.toSorted());
  assert.deepEqual(differences(direct, through), []);
});
