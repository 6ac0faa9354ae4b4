/**
 * What a command of the command line is: a name, a summary, its options and what it does.
 *
 * The options stand in a table, so that parsing, `--help` and the hint for a mistyped option come from one place.
 * A command gets its surroundings (environment, output) passed in and returns the exit code; it never ends the
 * process. Which commands exist is the business of `cli.ts`. Exit codes: sysexits(3).
 */

import type { ProxyError } from '../errors.ts';

export const EXIT = {
  ok: 0,
  /** What was checked is not in order. */
  failed: 1,
  usage: 64,
  data: 65,
  noInput: 66,
  unavailable: 69,
  internal: 70,
  log: 73,
  temporary: 75,
  protocol: 76,
  permission: 77,
  config: 78,
} as const;

export interface Output {
  /** Whether somebody reads it as it comes. */
  readonly isTTY?: boolean | undefined;
  /** What has not left the process yet. */
  readonly writableLength?: number;
  write(text: string, done?: () => void): unknown;
}

/** All that a command sees of the world outside. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Undefined where nothing can be typed or piped. */
  readonly stdin?: NodeJS.ReadStream;
}

export interface OptionSpec {
  readonly type: 'string' | 'boolean';
  /** One letter that stands for it after a single dash. */
  readonly short?: string;
  /** May be given more than once. */
  readonly multiple?: boolean;
  /** What stands for the value in the help text. */
  readonly value?: string;
  readonly help: string;
}

export interface Invocation extends Surroundings {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

export interface Command {
  /** One or two words: `check`, `token add`. */
  readonly name: string;
  /** What follows the name, for the help text: `NAME [--server S]...`. */
  readonly synopsis: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** How many arguments without dashes it takes. */
  readonly positionals: { readonly min: number; readonly max: number };
  /** Further paragraphs of the help text. */
  readonly notes?: readonly string[];
  run(invocation: Invocation): Promise<number>;
}

/** The options by which every command finds the operator's files. */
export const FILE_OPTIONS = {
  config: {
    type: 'string',
    value: 'FILE|DIR',
    help: 'the configuration, or a directory that holds mcproxy.yml and tokens.yml',
  },
  tokens: { type: 'string', value: 'FILE', help: 'the users and their tokens' },
} as const satisfies Record<string, OptionSpec>;

export const JSON_OPTION = { type: 'boolean', help: 'print JSON, for scripts' } as const satisfies OptionSpec;

export const SOCKET_OPTION = {
  type: 'string',
  value: 'PATH',
  help: 'the admin socket of the service, if it is not where the configuration says',
} as const satisfies OptionSpec;

/** The value of a string option, undefined when it was not given. */
export function textOption(invocation: Invocation, name: string): string | undefined {
  const value = invocation.values[name];
  return typeof value === 'string' ? value : undefined;
}

/** The values of a string option that may be repeated. */
export function listOption(invocation: Invocation, name: string): readonly string[] {
  const value = invocation.values[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** Whether a flag was given. */
export function flagOption(invocation: Invocation, name: string): boolean {
  return invocation.values[name] === true;
}

/** Resolves when a reader has taken everything: the end of the process would cut off what is left. */
export async function flushed(output: Output): Promise<void> {
  if ((output.writableLength ?? 0) === 0) return;
  await new Promise<void>((done) => void output.write('', done));
}

/** Prints one line about a wrong use and gives the exit code for it. */
export function usageError(output: Output, text: string): number {
  output.write(`mcproxy: ${text}\n`);
  return EXIT.usage;
}

/** The exit code for a failure that ends a command or the start. */
export function exitCodeOf(error: ProxyError): number {
  switch (error.code) {
    case 'CONFIG_INVALID':
      return EXIT.config;
    case 'LOG_UNWRITABLE':
      return EXIT.log;
    case 'LISTEN_FAILED':
      return EXIT.unavailable;
    default:
      return EXIT.internal;
  }
}
