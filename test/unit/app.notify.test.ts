import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { inheritedSocket } from '../../src/app/inherited-socket.ts';
import { openNotifier, watchdogIntervalMs, type Notifier } from '../../src/app/notify.ts';
import { checkNothingLeft } from '../support/leaks.ts';
import { makeTempDir, writeFiles } from '../support/temp-dir.ts';
import { verifies } from '../support/verifies.ts';
import { waitFor } from '../support/wait.ts';

after(() => checkNothingLeft());

interface Fixture {
  readonly notifier: Notifier;
  readonly problems: string[];
  /** The arguments of each call, one line a call. */
  calls(): string[];
}

/** A `systemd-notify` that writes down what it was called with; the real one meets us in test/package. */
function open(t: TestContext, env: Readonly<Record<string, string>> = {}, exitCode = 0): Fixture {
  const dir = makeTempDir(t);
  const script = `#!/bin/sh\nIFS='|'\necho "$NOTIFY_SOCKET|$*" >> ${join(dir, 'calls')}\nexit ${exitCode}\n`;
  writeFiles(dir, { 'systemd-notify': script });
  chmodSync(join(dir, 'systemd-notify'), 0o700);
  const problems: string[] = [];
  const notifier = openNotifier({
    env: { NOTIFY_SOCKET: '/run/notify', PATH: `${dir}:/usr/bin:/bin`, ...env },
    pid: 42,
    onProblem: (reason) => problems.push(reason),
  });
  t.after(() => notifier.close());
  const path = join(dir, 'calls');
  return { notifier, problems, calls: () => (existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []) };
}

verifies('service.notify', 'the service manager is told in order, and what is outdated is left out', async (t) => {
  const { notifier, calls, problems } = open(t);
  notifier.ready('listening\non 3000');
  notifier.status('one');
  notifier.reloading();
  notifier.ready('two');
  await notifier.close();
  assert.deepEqual(calls(), ['/run/notify|READY=1|STATUS=listening on 3000', '/run/notify|STATUS=two|READY=1']);
  notifier.stopping(10_000);
  await notifier.close();
  assert.equal(calls()[2], '/run/notify|STOPPING=1|STATUS=stopping|EXTEND_TIMEOUT_USEC=15000000');
  assert.deepEqual(problems, []);
});

verifies('service.notify', 'a reload is told with the time of its beginning', async (t) => {
  const { notifier, calls } = open(t);
  notifier.reloading();
  await notifier.close();
  assert.match(calls()[0] ?? '', /^\/run\/notify\|RELOADING=1\|MONOTONIC_USEC=\d+$/);
});

verifies('service.notify', 'without a socket nobody is told', async (t) => {
  const { notifier, calls } = open(t, { NOTIFY_SOCKET: '', WATCHDOG_USEC: '1000' });
  notifier.ready('x');
  notifier.stopping(0);
  await notifier.close();
  assert.deepEqual(calls(), []);
});

for (const { name, env, exitCode, reason } of [
  { name: 'a program that fails', env: {}, exitCode: 3, reason: 'systemd-notify ended with code 3' },
  { name: 'no program', env: { PATH: '/nowhere' }, exitCode: 0, reason: 'systemd-notify: spawn systemd-notify ENOENT' },
]) {
  test(`${name} to tell with is one problem and stops nothing`, async (t) => {
    const { notifier, problems } = open(t, env, exitCode);
    notifier.ready('x');
    await notifier.close();
    notifier.status('y');
    await notifier.close();
    assert.deepEqual(problems, [reason]);
  });
}

verifies('service.watchdog', 'signs of life go out again and again until the end', async (t) => {
  const { notifier, calls } = open(t, { WATCHDOG_USEC: '20000', WATCHDOG_PID: '42' });
  await waitFor(() => calls().filter((call) => call === '/run/notify|WATCHDOG=1').length >= 3);
  await notifier.close();
});

for (const { name, env, interval } of [
  { name: 'half of the time', env: { WATCHDOG_USEC: '60000000' }, interval: 30_000 },
  { name: 'for this process', env: { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '42' }, interval: 30_000 },
  { name: 'for another process', env: { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '43' }, interval: undefined },
  { name: 'no number', env: { WATCHDOG_USEC: 'often' }, interval: undefined },
  { name: 'zero', env: { WATCHDOG_USEC: '0' }, interval: undefined },
  { name: 'nothing', env: {}, interval: undefined },
]) {
  verifies('service.watchdog', `signs of life: ${name}`, () => {
    assert.equal(watchdogIntervalMs(env, 42), interval);
  });
}

for (const { name, env, descriptor } of [
  { name: 'for this process', env: { LISTEN_PID: '42', LISTEN_FDS: '1' }, descriptor: 3 },
  { name: 'for another process', env: { LISTEN_PID: '43', LISTEN_FDS: '1' }, descriptor: undefined },
  { name: 'none', env: { LISTEN_PID: '42', LISTEN_FDS: '0' }, descriptor: undefined },
  { name: 'nothing said', env: {}, descriptor: undefined },
]) {
  verifies('service.socket-activation', `a passed socket: ${name}`, () => {
    assert.equal(inheritedSocket(env, 42), descriptor);
  });
}
