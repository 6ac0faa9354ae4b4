import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { DIAG_LINES_PER_SECOND_MAX, DIAG_MESSAGE_COUNT_MAX, LOG_LINE_BYTES_MAX } from '../../src/limits.ts';
import { openDiag, type Diag, type DiagOptions } from '../../src/log/diag.ts';
import { makeRedactor } from '../../src/log/redact.ts';

interface Fixture {
  readonly diag: Diag;
  readonly lines: string[];
  readonly clock: { ms: number };
}

function open(options: Partial<DiagOptions> = {}): Fixture {
  const lines: string[] = [];
  const clock = { ms: 0 };
  const diag = openDiag({
    write: (line) => lines.push(line),
    level: 'debug',
    now: () => assert.fail('the wall clock is not needed'),
    monotonicMs: () => clock.ms,
    timestamps: false,
    priorityPrefix: false,
    ...options,
  });
  return { diag, lines, clock };
}

const lineCases = [
  { name: 'no data', data: undefined, line: 'info ready\n' },
  {
    name: 'bare values',
    data: { port: 3000, ok: true, host: '::1', none: null },
    line: 'info ready port=3000 ok=true host=::1 none=null\n',
  },
  { name: 'an undefined value', data: { a: undefined, b: 1 }, line: 'info ready b=1\n' },
  { name: 'a value with spaces', data: { a: 'x y' }, line: 'info ready a="x y"\n' },
  { name: 'an empty value', data: { a: '' }, line: 'info ready a=""\n' },
  { name: 'a value with a newline', data: { a: 'x\ninfo fake' }, line: 'info ready a="x\\ninfo fake"\n' },
  { name: 'a value with quotes', data: { a: '"x"' }, line: 'info ready a="\\"x\\""\n' },
  { name: 'a list', data: { a: ['x', 'y'] }, line: 'info ready a="[\\"x\\",\\"y\\"]"\n' },
  {
    name: 'an error',
    data: { a: Object.assign(new Error('no route'), { code: 'EHOSTUNREACH' }) },
    line: 'info ready a="no route (EHOSTUNREACH)"\n',
  },
  {
    name: 'an error with a cause',
    data: { a: new Error('fetch failed', { cause: new Error('reset') }) },
    line: 'info ready a="fetch failed: reset"\n',
  },
  { name: 'a secret by its key', data: { token: 'abc' }, line: 'info ready token=[redacted]\n' },
];
for (const c of lineCases) {
  test(`a line with ${c.name} is printed as key=value`, () => {
    const { diag, lines } = open();
    diag.info('ready', c.data);
    assert.deepEqual(lines, [c.line]);
  });
}

test('a message stays on one line and keeps its quotes', () => {
  const { diag, lines } = open();
  diag.warn('server "a"\nis\u2028down');
  assert.deepEqual(lines, ['warn server "a"\\nis\\u2028down\n']);
});

test('the level decides what is printed and can be changed', () => {
  const { diag, lines } = open({ level: 'warn' });
  diag.info('a');
  diag.warn('b');
  diag.setLevel('error');
  diag.warn('c');
  diag.setLevel('debug');
  diag.debug('d');
  assert.deepEqual(lines, ['warn b\n', 'debug d\n']);
});

test('under journald each line carries its priority and no time', () => {
  const { diag, lines } = open({ priorityPrefix: true });
  diag.error('a');
  diag.warn('b');
  diag.info('c');
  diag.debug('d');
  assert.deepEqual(lines, ['<3>error a\n', '<4>warn b\n', '<6>info c\n', '<7>debug d\n']);
});

test('on a terminal each line carries the wall time', () => {
  const { diag, lines } = open({ timestamps: true, now: () => Date.UTC(2026, 6, 28) });
  diag.info('a');
  assert.deepEqual(lines, ['2026-07-28T00:00:00.000Z info a\n']);
});

test('configured secrets are hidden in message, key and value', () => {
  const { diag, lines } = open();
  diag.setRedactor(makeRedactor([{ reveal: () => 'sesame-1' }]));
  diag.info('got sesame-1', { 'k-sesame-1': 'v sesame-1', nested: { a: ['sesame-1'] }, error: new Error('sesame-1') });
  assert.equal(lines.length, 1);
  assert.ok(!String(lines[0]).includes('sesame'));
  assert.equal(lines[0]?.split('[redacted]').length, 6);
});

test('a burst of one message is cut and summed up, others are not touched', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { diag, lines, clock } = open();
  for (let i = 0; i < DIAG_LINES_PER_SECOND_MAX + 7; i += 1) diag.warn('noisy', { i });
  diag.info('calm');
  assert.equal(lines.length, DIAG_LINES_PER_SECOND_MAX + 1);
  clock.ms = 1_000;
  diag.info('calm');
  assert.deepEqual(lines.slice(-2), [
    'warn further lines with the same message were dropped message=noisy count=7\n',
    'info calm\n',
  ]);
  diag.warn('noisy');
  assert.equal(lines.at(-1), 'warn noisy\n');
});

test('a burst followed by silence is summed up as well', (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { diag, lines, clock } = open();
  for (let i = 0; i < DIAG_LINES_PER_SECOND_MAX + 1; i += 1) diag.warn('noisy');
  clock.ms = 1_050;
  t.mock.timers.tick(1_050);
  assert.equal(lines.at(-1), 'warn further lines with the same message were dropped message=noisy count=1\n');
});

test('ever new messages share one count when there are too many', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { diag, lines } = open();
  for (let i = 0; i < DIAG_MESSAGE_COUNT_MAX + 500; i += 1) diag.info(`message ${i}`);
  assert.equal(lines.length, DIAG_MESSAGE_COUNT_MAX + DIAG_LINES_PER_SECOND_MAX);
});

test('any message and data give one bounded line', () => {
  const text = fc.string({ unit: 'binary', maxLength: 5_000 });
  fc.assert(
    fc.property(text, text, fc.jsonValue(), (message, value, nested) => {
      const { diag, lines } = open();
      diag.error(message, { value, nested });
      assert.equal(lines.length, 1);
      assert.match(String(lines[0]), /^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]*\n$/u);
      assert.ok(Buffer.byteLength(String(lines[0])) < LOG_LINE_BYTES_MAX);
    }),
  );
});
