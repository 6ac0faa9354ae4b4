/**
 * Commands that somebody sits before: questions at a real terminal, and the log as it grows.
 */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { checkNothingLeft } from '../support/leaks.ts';
import { command } from '../support/message-app.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { CTRL_C, CTRL_D, ENTER, openTerminal, type Terminal } from '../support/terminal.ts';
import { verifies } from '../support/verifies.ts';
import { within } from '../support/wait.ts';

after(() => checkNothingLeft());

const SETTINGS = `listen: 127.0.0.1:0\nlog: { file: access.log }\nadmin: { socket: admin.sock }\nservers:\n  asks: ${command('asks.mjs')}\n`;

interface Place {
  readonly dir: string;
  open(...args: string[]): Terminal;
}

function place(t: TestContext): Place {
  const terminals: { close: () => void | Promise<void> }[] = [];
  // Before the directory's own hook, because hooks run in the order of their registration.
  t.after(async () => void (await Promise.all(terminals.map(async ({ close }) => close()))));
  const dir = makeTempDir(t);
  writeFiles(dir, { 'mcproxy.yml': SETTINGS });
  return {
    dir,
    open(...args) {
      const cleanup = { after: (close: () => void | Promise<void>) => void terminals.push({ close }) };
      return openTerminal(cleanup, [...args, '--config', dir], dir);
    },
  };
}

const ended = (terminal: Terminal): Promise<number | null> =>
  within(terminal.ended, { deadlineMs: 20_000, what: `the end of the command:\n${terminal.screen()}` });

verifies('cli.call-asks', 'a tool that asks is answered at the terminal', async (t) => {
  const terminal = place(t).open('call', 'asks__ask');
  await terminal.sees('name: ');
  assert.match(terminal.screen(), /Who are you\?/);
  terminal.type(`Zoe${ENTER}`);
  assert.equal(await ended(terminal), 0, terminal.screen());
  assert.match(terminal.screen(), /"action":"accept".*"name":"Zoe"/);
});

verifies('cli.call-asks', 'the end of input declines, and the tool hears it', async (t) => {
  const terminal = place(t).open('call', 'asks__ask');
  await terminal.sees('name: ');
  terminal.type(CTRL_D);
  assert.equal(await ended(terminal), 0, terminal.screen());
  assert.match(terminal.screen(), /"action":"decline"/);
});

verifies('cli.call-asks', 'Ctrl-C at a question ends the command', async (t) => {
  const terminal = place(t).open('call', 'asks__ask');
  await terminal.sees('name: ');
  terminal.type(CTRL_C);
  assert.equal(await ended(terminal), 130, terminal.screen());
});

verifies('lock.terminal', 'an approval is asked for at the terminal, and given only by a yes', async (t) => {
  const { dir, open } = place(t);
  const lock = (): string => readFileSync(join(dir, 'mcproxy.lock'), 'utf8');
  assert.equal(await ended(open('lock')), 0);
  const whole = lock();
  // As if the server had changed its tool since.
  writeFileSync(
    join(dir, 'mcproxy.lock'),
    whole.replace(/"?sha256[:"]\s*"?[0-9a-f]{64}/, (old) => old.replace(/.{8}$/, '00000000')),
  );
  const changed = lock();
  assert.notEqual(changed, whole);
  for (const { typed, code, after: text } of [
    { typed: `n${ENTER}`, code: 1, after: changed },
    { typed: ENTER, code: 1, after: changed },
    { typed: CTRL_D, code: 1, after: changed },
    { typed: `yes${ENTER}`, code: 0, after: whole },
  ]) {
    const terminal = open('lock', 'approve');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await terminal.sees('Approve this? [y/N] ');
    terminal.type(typed);
    // oxlint-disable-next-line no-await-in-loop
    assert.equal(await ended(terminal), code, terminal.screen());
    assert.equal(lock(), text, JSON.stringify(typed));
  }
});

const line = (user: string): string =>
  `${JSON.stringify({ ts: '2027-01-31T12:00:00.000Z', principal: user, rpc_method: 'ping', outcome: 'ok', http_status: 200, latency_ms: 1, error: null })}\n`;

verifies('log.logs-command', 'logs -f shows what is written from then on, over a rotation, until Ctrl-C', async (t) => {
  const { dir, open } = place(t);
  const file = join(dir, 'access.log');
  writeFileSync(file, line('first'));
  const terminal = open('logs', '-f', '--user', '*st', '--lines', '10');
  await terminal.sees('first');
  appendFileSync(file, line('next') + line('last'));
  await terminal.sees('last');
  assert.doesNotMatch(terminal.screen(), /next/, 'what is filtered out');
  // Half a line is no line yet, wherever a look finds it.
  appendFileSync(file, line('rest').slice(0, 40));
  appendFileSync(file, line('rest').slice(40));
  await terminal.sees('rest');
  renameSync(file, `${file}.1`);
  writeFileSync(file, line('best'));
  await terminal.sees('best');
  // What is no longer than before cannot be told from what was there: no look would find it in between.
  truncateSync(file);
  appendFileSync(file, line('st'));
  await terminal.sees(' st ');
  assert.equal(terminal.screen().split('first').length, 2, 'nothing is shown twice');
  terminal.type(CTRL_C);
  assert.equal(await ended(terminal), 0, terminal.screen());
});
