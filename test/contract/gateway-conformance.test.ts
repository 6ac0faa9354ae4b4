/**
 * The official conformance suite through the merged endpoint: a server behind it passes the checks that it passes directly,
 * whatever its transport and era, whichever revision is asked for.
 *
 * The fixture stands behind `/mcp` with an empty prefix, as the only server of a user: as a command and over HTTP, spoken
 * to in one era alone. What differs from talking to it directly is a row of the baseline, with the reason; a row that does
 * not differ any more fails the test, so that it gets removed.
 */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RequirementId } from '../requirements.ts';
import { differences, passedScenarios, runConformance, type RequirementSet } from '../support/conformance.ts';
import { usersFile } from '../support/message-app.ts';
import { startConformanceFixture } from '../support/peers.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir, type Cleanup } from '../support/temp-dir.ts';
import { tokenOf } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';

const FIXTURE = fileURLToPath(new URL('../peers/conformance-fixture.ts', import.meta.url));

/** Scenarios of each set that the fixture passes by itself; see `conformance.test.ts`. */
const PASSED_COUNT: Readonly<Record<RequirementSet, number>> = { '2025-11-25': 33, '2026-07-28': 41 };

interface Difference {
  /** As `differences` writes it, from the start. */
  readonly line: string;
  readonly reason: string;
}

type Servers = 'command-legacy' | 'command-modern' | 'http-legacy' | 'http-modern';

const TASKS_ANSWERED =
  'The fixture has no tasks and answers their methods like any unknown one. The gateway knows them for those of its ' +
  'servers that have tasks, so that it gives the answers that the extension asks for.';
const NO_KEYS =
  'The questions of an older server have no keys; the scenario wants those that the fixture gives to newer clients, or ' +
  'sends answers to them that nobody asked for. The keys of the gateway come back as they went out.';

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
  '2026-07-28': [
    {
      line: 'tasks-capability-negotiation :: sep-2663-tasks-methods-non-declaring: FAILURE -> SUCCESS',
      reason: TASKS_ANSWERED,
    },
    {
      line: 'tasks-dispatch-and-envelope :: sep-2663-tasks-get-invalid-task-id-32602: FAILURE -> SUCCESS',
      reason: TASKS_ANSWERED,
    },
  ],
};

/** What a server of the older era cannot do for a client of the newer one. */
const OLDER_SERVER: readonly Difference[] = [
  {
    line: 'input-required-result-basic-elicitation :: sep-2322-elicitation-incomplete: SUCCESS -> FAILURE inputRequests missing expected key "user_name"',
    reason: NO_KEYS,
  },
  {
    line: 'input-required-result-basic-elicitation :: sep-2322-elicitation-complete: SUCCESS -> absent',
    reason: NO_KEYS,
  },
  {
    line:
      'input-required-result-ignore-extra-params :: sep-2322-ignore-unexpected-params: SUCCESS -> WARNING Server did not return complete result when valid ' +
      'inputResponses were provided alongside extra keys. Servers SHOULD ignore information they do not recognize.',
    reason: NO_KEYS,
  },
  {
    line:
      'input-required-result-capability-check :: sep-2322-respect-client-capabilities: SUCCESS -> FAILURE Server returned complete result; expected ' +
      'InputRequiredResult with sampling-only inputRequests',
    reason:
      'The tool of the fixture decides by the capabilities in the request, which an older server does not get: it hears of ' +
      'them once, for all clients of the connection.',
  },
];

const fixtures = {
  dual: await startConformanceFixture({ after }),
  legacy: await startConformanceFixture({ after }, 'legacy'),
  modern: await startConformanceFixture({ after }, 'modern'),
};
const command = { command: process.execPath, args: ['--import', import.meta.resolve('tsx'), FIXTURE, 'stdio'] };
const servers: Readonly<Record<Servers, unknown>> = {
  'command-legacy': { ...command, era: 'legacy', prefix: '', roots: true },
  'command-modern': { ...command, era: 'modern', prefix: '', roots: true },
  'http-legacy': { url: fixtures.legacy.url, prefix: '' },
  'http-modern': { url: fixtures.modern.url, prefix: '' },
};
const names = Object.keys(servers) as Servers[];
const app = await startApp(
  { after },
  {
    files: {
      'mcproxy.yml': JSON.stringify({
        listen: '127.0.0.1:0',
        log: { file: 'access.log' },
        admin: { socket: 'admin.sock' },
        servers,
      }),
      'tokens.yml': usersFile(Object.fromEntries(names.map((name) => [name, `[${name}]`]))),
    },
  },
);
const direct = {
  '2025-11-25': await runSet({ after }, '2025-11-25', undefined),
  '2026-07-28': await runSet({ after }, '2026-07-28', undefined),
};

const CELLS: readonly { id: RequirementId; server: Servers; requirements: RequirementSet }[] = [
  { id: 'gateway.conformance.stdio-2025-11-25', server: 'command-legacy', requirements: '2025-11-25' },
  { id: 'gateway.conformance.stdio-2026-07-28', server: 'command-legacy', requirements: '2026-07-28' },
  { id: 'gateway.conformance.stdio-2025-11-25', server: 'command-modern', requirements: '2025-11-25' },
  { id: 'gateway.conformance.stdio-2026-07-28', server: 'command-modern', requirements: '2026-07-28' },
  { id: 'gateway.conformance.http-2025-11-25', server: 'http-legacy', requirements: '2025-11-25' },
  { id: 'gateway.conformance.http-2026-07-28', server: 'http-legacy', requirements: '2026-07-28' },
  { id: 'gateway.conformance.http-2025-11-25', server: 'http-modern', requirements: '2025-11-25' },
  { id: 'gateway.conformance.http-2026-07-28', server: 'http-modern', requirements: '2026-07-28' },
];

for (const { id, server, requirements } of CELLS) {
  verifies(id, `${server} passes for a client of ${requirements} what it passes directly`, async (context) => {
    const expected = direct[requirements];
    assert.equal(passedScenarios(expected.run).length, PASSED_COUNT[requirements], expected.summary);
    const { run, summary } = await runSet(context, requirements, server);
    const isOlder = requirements === '2026-07-28' && server.endsWith('-legacy');
    const known = [...BASELINE[requirements], ...(isOlder ? OLDER_SERVER : [])].map(({ line }) => line);
    assert.deepEqual(differences(expected.run, run).toSorted(), known.toSorted(), summary);
  });
}

/** @param server undefined for the fixture itself, which speaks both eras */
function runSet(
  cleanup: Cleanup,
  requirements: RequirementSet,
  server: Servers | undefined,
): ReturnType<typeof runConformance> {
  const url = server === undefined ? fixtures.dual.url : `${app.url}/mcp`;
  const headers = server === undefined ? {} : { authorization: `Bearer ${tokenOf(server)}` };
  return runConformance({ url, what: { requirements }, outDir: makeTempDir(cleanup), headers });
}
