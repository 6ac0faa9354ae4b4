import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { pathToFileURL } from 'node:url';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { startApp } from '../support/start-app.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { call, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

const PRELOAD = pathToFileURL(join(import.meta.dirname, '../peers/steps-clock.mjs')).href;
const DAY_MS = 24 * 60 * 60 * 1_000;

verifies(
  'log.clock-step',
  'when the wall clock is stepped, entries keep their order and their latency, and a diag line says so',
  async (t) => {
    const upstream = await startUpstream(t);
    const stepFile = join(makeTempDir(t), 'step');
    const app = await startApp(t, {
      files: { 'tokens.yml': tokensFile(['alice'], upstream.url) },
      env: { NODE_OPTIONS: `--import ${PRELOAD}`, CLOCK_STEP_FILE: stepFile },
    });
    await call(app.url, 'alice', { requestId: 'before' });
    // The clock goes back a day while a call is on its way.
    upstream.answerWith(({ response }) => {
      writeFileSync(stepFile, String(-DAY_MS));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{}}');
    });
    await call(app.url, 'alice', { requestId: 'during' });
    await call(app.url, 'alice', { requestId: 'after' });

    const entries = app.entries();
    const ms = entries.map((entry) => Date.parse(String(entry['ts'])));
    assert.ok((ms[2] ?? 0) < (ms[0] ?? 0) - DAY_MS / 2, 'the wall clock went back');
    assert.deepEqual(
      entries.map((entry) => [entry['request_id'], entry['seq']]),
      [
        ['before', 1],
        ['during', 2],
        ['after', 3],
      ],
    );
    assert.equal(new Set(entries.map((entry) => entry['start_id'])).size, 1);
    for (const entry of entries) {
      const latencyMs = Number(entry['latency_ms']);
      assert.ok(latencyMs >= 0 && latencyMs < 10_000, `${latencyMs} ms`);
    }
    await waitFor(() => /warn the wall clock was stepped step_ms=-8\d{7}/.test(app.stderr()));
    assert.equal(app.stderr().match(/the wall clock was stepped/g)?.length, 1);
  },
);
