/**
 * The command line: which commands there are, how their arguments are read, and their help texts.
 *
 * Promises: `run` never throws and never ends the process, it returns the exit code; a wrong use is one line on
 * stderr that names the nearest command or option, and exit 64; help that was asked for goes to stdout. What a
 * command does is in its own file `command-*.ts`.
 */
import { parseArgs } from 'node:util';

import { ProxyError } from '../errors.ts';
import { findNearest } from '../text/nearest.ts';
import { callCommand } from './command-call.ts';
import { checkCommand } from './command-check.ts';
import { clientConfigCommand } from './command-client-config.ts';
import { importCommand } from './command-import.ts';
import { lockCommands } from './command-lock.ts';
import { logsCommand } from './command-logs.ts';
import { logsVerifyCommand } from './command-logs-verify.ts';
import { reloadCommand } from './command-reload.ts';
import { serveCommand } from './command-serve.ts';
import { addCommand, removeCommand } from './command-server.ts';
import { statusCommand } from './command-status.ts';
import { stdioCommand } from './command-stdio.ts';
import { tokenCommands } from './command-token.ts';
import { toolsCommand } from './command-tools.ts';
import { versionCommand, versionLine } from './command-version.ts';
import { whyCommand } from './command-why.ts';
import { EXIT, exitCodeOf, flushed, usageError, type Command, type OptionSpec, type Surroundings } from './command.ts';
import { stackOf } from './stack.ts';

/** Every command, in the order of the help text. The first one runs when none is named. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  checkCommand,
  reloadCommand,
  statusCommand,
  toolsCommand,
  callCommand,
  ...tokenCommands,
  whyCommand,
  stdioCommand,
  addCommand,
  removeCommand,
  importCommand,
  clientConfigCommand,
  ...lockCommands,
  logsCommand,
  logsVerifyCommand,
  versionCommand,
];

/** Does what the arguments say (without the program's own name) and returns the exit code. */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { stdout, stderr } = surroundings;
  const [first] = args;
  if (first === '--version' || first === '-V') {
    stdout.write(`${versionLine()}\n`);
    return EXIT.ok;
  }
  if (first === '--help' || first === '-h' || first === 'help') return helpOn(args.slice(1), surroundings);
  const found = findCommand(args);
  if (typeof found === 'string') return usageError(stderr, found);
  if ('group' in found) {
    const asked = found.rest.includes('--help') || found.rest.includes('-h');
    (asked ? stdout : stderr).write(groupHelp(found.group));
    return asked ? EXIT.ok : EXIT.usage;
  }
  // After `--` stands the command of a server, whose --help is its own.
  const own = found.rest.includes('--') ? found.rest.slice(0, found.rest.indexOf('--')) : found.rest;
  if (own.includes('--help') || own.includes('-h')) {
    stdout.write(commandHelp(found.command));
    return EXIT.ok;
  }
  const parsed = parseArguments(found.command, found.rest);
  if (typeof parsed === 'string') {
    return usageError(stderr, `${parsed} (mcproxy ${found.command.name} --help)`);
  }
  try {
    const exitCode = await found.command.run({ ...surroundings, ...parsed });
    // A service is never kept by who reads its log.
    if (found.command !== serveCommand) await flushed(stdout);
    return exitCode;
  } catch (error) {
    return reportFailure(error, surroundings);
  }
}

type Found = { command: Command; rest: readonly string[] } | { group: string; rest: readonly string[] } | string;

/** The command that the first one or two words name, or what to tell the user. */
function findCommand(args: readonly string[]): Found {
  const [first, second] = args;
  const [fallback] = COMMANDS;
  if (fallback !== undefined && (first === undefined || first.startsWith('-')))
    return { command: fallback, rest: args };
  const word = first ?? '';
  const double = COMMANDS.find((command) => command.name === `${word} ${second ?? ''}`);
  if (double !== undefined) return { command: double, rest: args.slice(2) };
  const single = COMMANDS.find((command) => command.name === word);
  if (single !== undefined) return { command: single, rest: args.slice(1) };
  const group = COMMANDS.filter((command) => command.name.startsWith(`${word} `));
  if (group.length === 0) {
    const names = new Set(COMMANDS.map((command) => command.name.split(' ')[0] ?? ''));
    return `there is no command "${printable(word)}"${suggestion(word, [...names])} (mcproxy --help lists all)`;
  }
  if (second === undefined || second.startsWith('-')) return { group: word, rest: args.slice(1) };
  const verbs = group.map((candidate) => candidate.name.slice(word.length + 1));
  return `there is no command "${word} ${printable(second)}"${suggestion(second, verbs)} (mcproxy ${word} --help)`;
}

interface Arguments {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

/** The options and arguments of a command, or what is wrong with them. */
function parseArguments(command: Command, rest: readonly string[]): Arguments | string {
  const options: Record<string, { type: 'string' | 'boolean'; multiple: boolean; short?: string }> = {};
  for (const [name, { type, multiple, short }] of Object.entries(command.options)) {
    options[name] = { type, multiple: multiple === true, ...(short === undefined ? {} : { short }) };
  }
  let parsed: Arguments;
  try {
    parsed = parseArgs({ args: [...rest], options, strict: true, allowPositionals: true });
  } catch (error) {
    return argumentProblem(error, command);
  }
  const { min, max } = command.positionals;
  const count = parsed.positionals.length;
  if (count < min) return `mcproxy ${command.name} needs ${command.synopsis.split(' ')[0] ?? 'an argument'}`;
  if (count > max) {
    const extra = parsed.positionals[max] ?? '';
    const hint = command === COMMANDS[0] ? '; a command stands before its options' : '';
    return `mcproxy ${command.name} does not take the argument "${printable(extra)}"${hint}`;
  }
  return parsed;
}

/** Node's own sentence about a wrong option, cut to the part that helps, with the option that was likely meant. */
function argumentProblem(error: unknown, command: Command): string {
  const text = error instanceof Error ? error.message : 'the arguments cannot be read';
  const code = (error as NodeJS.ErrnoException).code;
  const option = /'(--?[^'\s=]+)/.exec(text)?.[1] ?? '';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const names = Object.keys(command.options).map((name) => `--${name}`);
    return `there is no option ${printable(option)}${suggestion(option, names)}`;
  }
  const spec = command.options[option.replace(/^--/, '')];
  if (spec?.type === 'string') return `${option} needs a value: ${option} ${spec.value ?? 'VALUE'}`;
  if (spec?.type === 'boolean') return `${option} takes no value`;
  return printable(text.split('. ')[0] ?? text);
}

function suggestion(word: string, names: readonly string[]): string {
  const name = findNearest(word, names);
  return name === undefined ? '' : `; did you mean "${name}"?`;
}

/** A word of the command line, safe to show on a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '·').slice(0, 80);
}

function helpOn(words: readonly string[], surroundings: Surroundings): number {
  if (words.length === 0 || words[0]?.startsWith('-') === true) {
    surroundings.stdout.write(generalHelp());
    return EXIT.ok;
  }
  const found = findCommand(words);
  if (typeof found === 'string') return usageError(surroundings.stderr, found);
  surroundings.stdout.write('group' in found ? groupHelp(found.group) : commandHelp(found.command));
  return EXIT.ok;
}

function generalHelp(): string {
  const lines = [
    'mcproxy: bearer token in, own credential out, one line logged; many MCP servers behind one URL.',
    '',
    'Usage: mcproxy [COMMAND] [OPTIONS]',
    '',
    ...commandTable(COMMANDS),
    '',
    'Without a command it serves. `mcproxy COMMAND --help` explains a command, `mcproxy --version` says which one runs.',
    'Without --config the files are mcproxy.yml and tokens.yml in /etc/mcproxy, else in $XDG_CONFIG_HOME/mcproxy.',
  ];
  return `${lines.join('\n')}\n`;
}

function groupHelp(group: string): string {
  const commands = COMMANDS.filter((command) => command.name.startsWith(`${group} `));
  return `${[`Usage: mcproxy ${group} COMMAND`, '', ...commandTable(commands)].join('\n')}\n`;
}

function commandTable(commands: readonly Command[]): string[] {
  const width = Math.max(...commands.map((command) => command.name.length));
  return commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
}

function commandHelp(command: Command): string {
  const usage = ['Usage: mcproxy', command.name, command.synopsis].filter((part) => part !== '').join(' ');
  const options: [string, OptionSpec][] = [
    ...Object.entries(command.options),
    ['help', { type: 'boolean', help: 'print this text' }],
  ];
  const heads = options.map(([name, { type, value = 'VALUE', short }]) => {
    const letter = short === undefined ? '' : `-${short}, `;
    return `${letter}--${name}${type === 'string' ? ` ${value}` : ''}`;
  });
  const width = Math.max(...heads.map((head) => head.length));
  const table = options.map(([, spec], index) => `  ${(heads[index] ?? '').padEnd(width)}  ${spec.help}`);
  const notes = (command.notes ?? []).flatMap((note) => ['', note]);
  return `${[usage, '', `${command.summary}.`, '', ...table, ...notes].join('\n')}\n`;
}

/** What a failed command says. A `ProxyError` speaks for itself; anything else is a bug and shows its stack. */
function reportFailure(error: unknown, surroundings: Surroundings): number {
  if (error instanceof ProxyError) {
    surroundings.stderr.write(`mcproxy: ${error.message}\n`);
    return exitCodeOf(error);
  }
  surroundings.stderr.write(`mcproxy: internal error, please report it: ${stackOf(error)}\n`);
  return EXIT.internal;
}
