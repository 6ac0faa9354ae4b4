import assert from 'node:assert/strict';
import { test } from 'node:test';

import { COMMANDS, run } from '../../src/app/cli.ts';
import { VERSION } from '../../src/app/version.ts';

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function invoke(...args: string[]): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  const exitCode = await run(args, {
    env: { HOME: '/nowhere' },
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
  });
  return { exitCode, stdout, stderr };
}

const mistakes = [
  { args: ['chekc'], says: /no command "chekc"; did you mean "check"\?/ },
  { args: ['token', 'ad', 'alice'], says: /no command "token ad"; did you mean "add"\?/ },
  { args: ['frobnicate'], says: /no command "frobnicate" \(mcproxy --help lists all\)/ },
  { args: ['check', '--conect'], says: /no option --conect; did you mean "--connect"\?/ },
  { args: ['--prot', '1'], says: /no option --prot; did you mean "--port"\?/ },
  { args: ['check', '-x'], says: /no option -x/ },
  { args: ['--config'], says: /--config needs a value: --config FILE\|DIR/ },
  { args: ['check', '--json=yes'], says: /--json takes no value/ },
  { args: ['token', 'add'], says: /mcproxy token add needs NAME/ },
  { args: ['token', 'add', 'a', 'b'], says: /does not take the argument "b"/ },
  { args: ['--port', '1', 'check'], says: /does not take the argument "check"; a command stands before its options/ },
  { args: ['token', 'add', 'al ice'], says: /a name has 1 to 64/ },
  { args: ['token', 'add', 'alice', '--role', 'no role'], says: /--role is user, admin or the name of a role/ },
  { args: ['token', 'add', 'alice', '--expires', 'soon'], says: /--expires is a day such as/ },
  { args: ['token', 'add', 'alice', '--network', 'home'], says: /--network is an address or CIDR block/ },
  { args: ['why', 'alice'], says: /mcproxy why needs/ },
  { args: ['serve', '--port', '70000'], says: /--port is a number from 0 to 65535/ },
  { args: ['serve', '--listen', 'a b'], says: /--listen is not valid/ },
  { args: ['\u001b[2J'], says: /no command "·\[2J"/ },
];
for (const { args, says } of mistakes) {
  test(`\`mcproxy ${JSON.stringify(args.join(' '))}\` is exit 64 and one line`, async () => {
    const { exitCode, stdout, stderr } = await invoke(...args);
    assert.equal(exitCode, 64);
    assert.equal(stdout, '');
    assert.match(stderr, says);
    assert.match(stderr, /^mcproxy: [^\n]*\n$/);
  });
}

test('every command has a help text with its options, on standard output', async () => {
  for (const command of COMMANDS) {
    const { exitCode, stdout, stderr } = await invoke(...command.name.split(' '), '--help');
    assert.equal(exitCode, 0);
    assert.equal(stderr, '');
    assert.ok(stdout.startsWith(`Usage: mcproxy ${command.name}`), stdout);
    for (const option of Object.keys(command.options)) assert.ok(stdout.includes(`--${option}`), option);
  }
});

test('the general help lists every command', async () => {
  for (const word of ['--help', '-h', 'help']) {
    const { exitCode, stdout } = await invoke(word);
    assert.equal(exitCode, 0);
    for (const command of COMMANDS) assert.ok(stdout.includes(`  ${command.name} `), command.name);
  }
});

test('a group of commands without a verb shows its verbs and is a wrong use', async () => {
  const asked = await invoke('token', '--help');
  assert.equal(asked.exitCode, 0);
  assert.match(asked.stdout, /token revoke/);
  const bare = await invoke('token');
  assert.equal(bare.exitCode, 64);
  assert.match(bare.stderr, /token revoke/);
});

test('--version says version, commit and Node', async () => {
  const expected = `mcproxy ${VERSION} (source), Node ${process.version}\n`;
  assert.equal((await invoke('--version')).stdout, expected);
  assert.equal((await invoke('version')).stdout, expected);
  assert.equal((JSON.parse((await invoke('version', '--json')).stdout) as { version: string }).version, VERSION);
});

test('no help line is wider than 120 characters', async () => {
  for (const command of COMMANDS) {
    const { stdout } = await invoke(...command.name.split(' '), '--help');
    for (const line of stdout.split('\n')) assert.ok(line.length <= 120, line);
  }
});
