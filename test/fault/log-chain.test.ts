/**
 * The chain of the access log through misfortunes and tampering, with the real writer and the real check.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { appendEntry, checkFiles, checkTexts, openChained, places } from '../support/chained-log.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { startUpstream } from '../support/recording-upstream.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { runCommand, startApp } from '../support/start-app.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { call, tokensFile } from '../support/users.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

/** The path of a log with so many entries, each from a batch of its own. */
async function logOf(t: TestContext, count: number): Promise<string> {
  const path = join(makeTempDir(t), 'access.log');
  const writer = openChained(path, 'one');
  // oxlint-disable-next-line no-await-in-loop -- one batch each
  for (let n = 0; n < count; n += 1) assert.ok(await appendEntry(writer, n));
  await writer.close();
  return path;
}

function linesOf(path: string): string[] {
  return fs.readFileSync(path, 'utf8').split('\n').slice(0, -1);
}

const joined = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

verifies('log.chain', 'the first line is a start record, and a restart goes on from the last line', async (t) => {
  const path = await logOf(t, 3);
  const second = openChained(path, 'two');
  await appendEntry(second, 3);
  await second.close();
  const records = linesOf(path).map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    records.map(({ n, record, start_id: id }) => n ?? `${String(record)} ${String(id)}`),
    ['start one', 0, 1, 2, 'start two', 3],
  );
  assert.deepEqual(Object.keys(records[1] ?? {}).at(-1), 'chain');
  const report = checkFiles(path);
  assert.deepEqual([report.findings, report.notes, report.linkedCount, report.from], [[], [], 6, null]);
});

verifies('log.chain', 'a chain begins after lines without one, and ends and begins again as it is told', async (t) => {
  const path = join(makeTempDir(t), 'access.log');
  fs.writeFileSync(path, '{"ts":"t","n":"old"}\n{"ts":"t","n":"older"}\n');
  const writer = openChained(path, 'one');
  await appendEntry(writer, 0);
  const whole = checkFiles(path);
  assert.deepEqual([places(whole), whole.notes.map(({ line }) => line)], [[], [2]]);
  const old = linesOf(path);
  assert.deepEqual(places(checkTexts([joined([old[0] ?? '', '{"ts":"t","n":"forged"}', ...old.slice(2)])])), ['0:2']);
  writer.setChain(undefined);
  await appendEntry(writer, 1);
  await writer.close();
  assert.deepEqual(places(checkFiles(path)), ['0:5']);
});

verifies('log.chain', 'a rotation by rename or by copytruncate keeps the chain, also over a restart', async (t) => {
  const path = await logOf(t, 2);
  const writer = openChained(path, 'two');
  await appendEntry(writer, 2);
  fs.renameSync(path, `${path}.3`);
  await appendEntry(writer, 3);
  fs.copyFileSync(path, `${path}.2`);
  fs.truncateSync(path);
  await appendEntry(writer, 4);
  await writer.close();
  fs.renameSync(path, `${path}.1`);
  fs.writeFileSync(path, '');
  const third = openChained(path, 'three');
  await appendEntry(third, 5);
  await third.close();
  const files = ['.3', '.2', '.1', ''].map((end) => path + end);
  assert.deepEqual(checkFiles(...files).findings, []);
  assert.notDeepEqual(checkFiles(...files.filter((_, at) => at !== 1)).findings, [], 'a file is missing');
  assert.notDeepEqual(checkFiles(...files.toReversed()).findings, [], 'the wrong order');
});

verifies('log.chain-verify', 'each line that is changed, removed, put in or moved is found where it is', async (t) => {
  const lines = linesOf(await logOf(t, 6));
  const at = 3;
  const line = lines[at] ?? '';
  const cases: [string, string[], string][] = [
    ['changed', lines.with(at, line.replace('"n":2', '"n":7')), '0:4'],
    [
      'one byte of its link',
      lines.with(
        at,
        line.replace(/.(?="\}$)/, (digit) => (digit === '0' ? '1' : '0')),
      ),
      '0:3',
    ],
    ['no link any more', lines.with(at, '{"ts":"t","n":2}'), '0:4'],
    ['removed', lines.toSpliced(at, 1), '0:3'],
    ['put in with the right link', lines.toSpliced(at + 1, 0, linkedAfter(lines, at)), '0:5'],
    ['put in without a link', lines.toSpliced(at, 0, '{"ts":"t","n":"new"}'), '0:4'],
    ['put in twice', lines.toSpliced(at, 0, line), '0:4'],
    ['an empty line', lines.toSpliced(at, 0, ''), '0:4'],
    ['the start record removed in the middle', lines.toSpliced(1, 0, lines[0] ?? ''), '0:2'],
  ];
  for (const [name, tampered, place] of cases) assert.equal(places(checkTexts([joined(tampered)]))[0], place, name);
  assert.deepEqual(places(checkTexts([joined(lines)])), []);
});

/** The line that would follow line `at`, if the one that does were not there. */
function linkedAfter(lines: readonly string[], at: number): string {
  const link = /"chain":"[\da-f]{32}"\}$/.exec(lines[at + 1] ?? '')?.[0] ?? '';
  return `{"ts":"t","n":"new",${link}`;
}

verifies('log.chain-verify', 'whatever is done to bytes before the last line is found', async (t) => {
  const text = fs.readFileSync(await logOf(t, 12), 'utf8');
  const end = text.lastIndexOf('\n', text.length - 2);
  const random = seededRandom(20_261_126);
  for (let round = 0; round < 400; round += 1) {
    const from = random.integer(end);
    const removed = random.integer(3);
    const added = random.pick(['', 'x', '\n']);
    const tampered = text.slice(0, from) + added + text.slice(from + removed);
    // The end of the first line's link says what came before it, which nothing here knows.
    if (tampered === text || from + removed > end || from < text.indexOf('\n')) continue;
    assert.notEqual(checkTexts([tampered]).findingCount, 0, JSON.stringify({ round, from, removed, added }));
  }
});

verifies(
  'log.chain-anchor',
  'lines missing at the end are found with the digest of a line that was there',
  async (t) => {
    const path = await logOf(t, 4);
    const { last } = checkFiles(path);
    const lines = linesOf(path);
    assert.ok(last !== undefined);
    assert.deepEqual(checkTexts([joined(lines.slice(0, -1))]).findings, [], 'nothing tells without it');
    const run = (text: string, ...more: string[]): ReturnType<typeof runCommand> => {
      fs.writeFileSync(path, text);
      return runCommand(['logs', 'verify', path, ...more]);
    };
    const whole = await run(joined(lines), '--expect', last);
    assert.equal(whole.code, 0, whole.stdout);
    fs.writeFileSync(`${path}.1.gz`, gzipSync(joined(lines.slice(0, 2))));
    fs.writeFileSync(path, joined(lines.slice(2)));
    const rotated = await runCommand(['logs', 'verify', `${path}.1.gz`, path]);
    assert.equal(rotated.stdout, whole.stdout, 'compressed by a rotation');
    assert.match(whole.stdout, new RegExp(`5 lines from the beginning of the chain, up to ${last}`));
    const cut = await run(joined(lines.slice(0, -1)), '--expect', last);
    assert.equal(cut.code, 1);
    assert.match(cut.stdout, new RegExp(`no line has the digest ${last}`));
    const changed = await run(joined(lines.with(2, '{}')), '--json');
    const report = JSON.parse(changed.stdout) as { ok: boolean; findings: { file: string; line: number }[] };
    assert.deepEqual(
      [changed.code, report.ok, report.findings[0]?.file, report.findings[0]?.line],
      [1, false, path, 3],
    );
    const plain = await run('{"ts":"t"}\n');
    assert.deepEqual([plain.code, /no line has a link/.test(plain.stdout)], [1, true]);
    assert.equal((await runCommand(['logs', 'verify', `${path}.none`])).code, 66);
  },
);

verifies('log.chain-cut', 'wherever a write is cut by kill -9, the next start vouches for the piece', async (t) => {
  const path = await logOf(t, 3);
  const text = fs.readFileSync(path, 'utf8');
  const from = text.lastIndexOf('\n', text.length - 2) + 1;
  for (let end = from; end <= text.length; end += 7) {
    const file = `${path}-${end}`;
    fs.writeFileSync(file, text.slice(0, end));
    assert.deepEqual(checkFiles(file).findings, [], `cut at ${end}, before the start`);
    const next = openChained(file, 'next');
    // oxlint-disable-next-line no-await-in-loop
    await appendEntry(next, 9);
    // oxlint-disable-next-line no-await-in-loop
    await next.close();
    const report = checkFiles(file);
    assert.deepEqual(report.findings, [], `cut at ${end}`);
    const piece = linesOf(file)[3] ?? '';
    const isPiece = end > from && end < text.length - 1;
    assert.equal(report.notes.length, isPiece ? 1 : 0, piece);
    if (!isPiece) continue;
    assert.notDeepEqual(places(checkTexts([joined(linesOf(file).with(3, `${piece} `))])), [], 'the piece changed');
    assert.notDeepEqual(places(checkTexts([joined(linesOf(file).toSpliced(3, 1))])), [], 'the piece removed');
  }
});

verifies('log.chain-cut', 'a disk that takes half a line, then all of them, leaves a whole chain', async (t) => {
  for (const room of [0, 1, 30, 59, 60, 61, 62, 100, 119, 120, 121, 150, 179]) {
    for (const stays of [true, false]) {
      const path = join(makeTempDir(t), 'access.log');
      let full = 2;
      // The third write takes `room` bytes; then nothing more is taken, once.
      const writer = openChained(path, 'one', (fd, bytes, done) => {
        if (full > 0) {
          full -= 1;
          return fs.write(fd, bytes, done);
        }
        if (full === 0 && room > 0) {
          full = -1;
          return fs.write(fd, bytes.subarray(0, room), done);
        }
        if (full <= 0 && full > -2) {
          full = -2;
          // Where the path leads elsewhere the piece cannot be taken back.
          if (stays) fs.renameSync(path, `${path}.1`);
          return done(Object.assign(new Error('full'), { code: 'ENOSPC' }), 0);
        }
        return fs.write(fd, bytes, done);
      });
      // oxlint-disable-next-line no-await-in-loop
      await appendEntry(writer, 0);
      // oxlint-disable-next-line no-await-in-loop
      await appendEntry(writer, 1);
      // oxlint-disable-next-line no-await-in-loop
      await Promise.all([2, 3, 4].map((n) => appendEntry(writer, n)));
      // oxlint-disable-next-line no-await-in-loop
      for (const n of [5, 6]) assert.ok(await appendEntry(writer, n));
      // oxlint-disable-next-line no-await-in-loop
      await writer.close();
      const report = stays ? checkFiles(`${path}.1`, path) : checkFiles(path);
      assert.deepEqual(report.findings, [], `${room} bytes, ${stays ? 'not ' : ''}taken back`);
    }
  }
});

verifies(
  ['log.chain', 'log.chain-verify', 'log.logs-command'],
  'a service that is killed under load and started again has a whole chain, and `logs` shows it',
  async (t) => {
    const upstream = await startUpstream(t);
    const settings = 'listen: 127.0.0.1:0\nlog: { file: access.log, chain: true }\nadmin: { socket: admin.sock }\n';
    const files = { 'mcproxy.yml': settings, 'tokens.yml': tokensFile(['ann', 'bob'], upstream.url) };
    const first = await startApp(t, { files });
    let count = 0;
    const killed = new AbortController();
    const load = ['ann', 'bob', 'ann', 'bob'].map(async (user) => {
      while (!killed.signal.aborted) {
        // oxlint-disable-next-line no-await-in-loop
        await call(first.url, user).then(
          () => (count += 1),
          () => undefined,
        );
      }
    });
    await waitFor(() => count > 100, { deadlineMs: 10_000, what: 'calls' });
    first.signal('SIGKILL');
    await first.exited;
    killed.abort();
    await Promise.all(load);
    const second = await startApp(t, { dir: first.dir });
    await call(second.url, 'bob');
    await call(second.url, 'mallory');
    const log = join(first.dir, 'access.log');
    const checked = await runCommand(['logs', 'verify', log]);
    assert.equal(checked.code, 0, checked.stdout);
    const shown = await runCommand(['logs', '--config', first.dir, '--outcome', 'client_error', '--lines', '5']);
    assert.match(shown.stdout, /^\S+ {2}client_error {2}- .*HTTP 401 .*AUTH_INVALID/);
    const anns = await runCommand(['logs', log, '--user', 'a*', '--lines', '0', '--json']);
    assert.ok(anns.stdout.split('\n').length > 20);
    assert.doesNotMatch(anns.stdout, /"bob"|"record"/);
    fs.writeFileSync(log, fs.readFileSync(log, 'utf8').replace('"principal":"ann"', '"principal":"eve"'));
    assert.equal((await runCommand(['logs', 'verify', log])).code, 1);
  },
);
