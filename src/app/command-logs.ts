/**
 * `mcproxy logs`: the access log for reading, one short line for each request, filtered and followed.
 *
 * Reads the file that the configuration names, or those that are given, not the service; what goes to standard output
 * is in the journal. `--json` gives the lines as they are. A file that is rotated while it is followed is gone on with at
 * its new beginning. Control characters never reach the terminal.
 */
import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { readLines } from '../log/read-lines.ts';
import type { Outcome } from '../errors.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import { matchesGlob } from '../text/glob.ts';
import {
  EXIT,
  FILE_OPTIONS,
  JSON_OPTION,
  flagOption,
  textOption,
  usageError,
  type Command,
  type Invocation,
} from './command.ts';
import { printable } from './local-command.ts';
import { loadNamed } from './named-files.ts';
import { problemsText } from './report.ts';

const LINES_DEFAULT = 100;
const OUTCOMES: readonly Outcome[] = ['ok', 'client_error', 'upstream_error', 'proxy_error', 'cancelled'];
/** Between two looks at a file that is followed. */
const FOLLOW_MS = 250;

export const logsCommand: Command = {
  name: 'logs',
  synopsis: '[FILE...] [-f] [--user NAME] [--server NAME] [--tool NAME] [--outcome WORD] [--lines N] [--json]',
  summary: 'Shows the access log for reading',
  options: {
    follow: { type: 'boolean', short: 'f', help: 'go on with what is written from now on, until Ctrl-C' },
    user: { type: 'string', value: 'NAME', help: 'only requests of this user; * stands for any characters' },
    server: { type: 'string', value: 'NAME', help: 'only those to this server' },
    tool: {
      type: 'string',
      value: 'NAME',
      help: 'only those for this tool (also as SERVER__TOOL), prompt or resource',
    },
    outcome: { type: 'string', value: 'WORD', help: `only one of ${OUTCOMES.join(', ')}` },
    lines: { type: 'string', value: 'N', help: `the last N of them, 0 for all (default ${LINES_DEFAULT})` },
    json: { ...JSON_OPTION, help: 'print the lines as they are in the file' },
    ...FILE_OPTIONS,
  },
  positionals: { min: 0, max: 10_000 },
  notes: ['Exit codes: 0, 64 wrong use, 66 a file cannot be read, 78 the files have problems.'],
  async run(invocation) {
    const lines = textOption(invocation, 'lines') ?? String(LINES_DEFAULT);
    if (!/^\d{1,9}$/.test(lines)) return usageError(invocation.stderr, '--lines is a number');
    const outcome = textOption(invocation, 'outcome');
    if (outcome !== undefined && !OUTCOMES.some((word) => matchesGlob(outcome, word)))
      return usageError(invocation.stderr, `--outcome is one of ${OUTCOMES.join(', ')}`);
    const files = invocation.positionals.length > 0 ? invocation.positionals : await configuredFile(invocation);
    if (typeof files === 'number') return files;
    const last: string[] = []; // Bounded by --lines.
    const count = Number(lines);
    const isFollowing = flagOption(invocation, 'follow');
    let end = 0;
    for (const file of files) {
      try {
        const wholeOnly = isFollowing && file === files.at(-1);
        // oxlint-disable-next-line no-await-in-loop -- in their order
        end = await readLines(file, (bytes) => keep(invocation, bytes, { last, count }), { wholeOnly });
      } catch (error) {
        const { code = 'unknown' } = error as NodeJS.ErrnoException;
        invocation.stderr.write(`mcproxy: ${printable(file)} cannot be read (${code})\n`);
        return EXIT.noInput;
      }
    }
    for (const line of last) invocation.stdout.write(line);
    const followed = files.at(-1);
    if (isFollowing && followed !== undefined) await follow(invocation, followed, end);
    return EXIT.ok;
  },
};

async function configuredFile(invocation: Invocation): Promise<readonly string[] | number> {
  const { config, problems } = await loadNamed(invocation);
  if (config === undefined) {
    invocation.stderr.write(problemsText(problems));
    return EXIT.config;
  }
  if (config.log.file !== '-') return [config.log.file];
  return usageError(
    invocation.stderr,
    'the access log goes to standard output (log.file is -); see `journalctl -u mcproxy`, or name a file',
  );
}

function keep(invocation: Invocation, bytes: Buffer, to: { last: string[]; count: number }): void {
  const line = lineOf(invocation, bytes);
  if (line === undefined) return;
  if (to.count === 0) return void invocation.stdout.write(line);
  to.last.push(line);
  if (to.last.length > to.count) to.last.shift();
}

/** Looks again and again until a signal ends it. */
async function follow(invocation: Invocation, file: string, end: number): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  let position = end;
  let inode = statSync(file, { throwIfNoEntry: false })?.ino;
  while (!stop.signal.aborted) {
    // oxlint-disable-next-line no-await-in-loop -- a look at a time
    await delay(FOLLOW_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    const entry = statSync(file, { throwIfNoEntry: false });
    if (entry === undefined) continue;
    if (entry.ino !== inode || entry.size < position) position = 0;
    inode = entry.ino;
    const show = (bytes: Buffer): void => void invocation.stdout.write(lineOf(invocation, bytes) ?? '');
    // oxlint-disable-next-line no-await-in-loop
    position = await readLines(file, show, { from: position, wholeOnly: true }).catch(() => position);
  }
  process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
}

/** The line to print; undefined for one that is filtered out or is no entry. */
function lineOf(invocation: Invocation, bytes: Buffer): string | undefined {
  const text = bytes.toString();
  const entry = entryOf(text);
  if (entry === undefined || 'record' in entry || !passes(invocation, entry)) return undefined;
  return flagOption(invocation, 'json') ? `${text}\n` : `${printable(layOut(entry)).replaceAll('\n', '·')}\n`;
}

type Logged = Readonly<Record<string, unknown>>;

function entryOf(text: string): Logged | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function passes(invocation: Invocation, entry: Logged): boolean {
  const of = (field: string): string => textOf(entry[field]) ?? '';
  const name = of('rpc_name');
  const wanted = {
    user: [of('principal')],
    server: [of('upstream')],
    // The entry has the server's own name; clients know it with a prefix.
    tool: [name, `${of('upstream')}__${name}`],
    outcome: [of('outcome')],
  };
  return Object.entries(wanted).every(([option, texts]) => {
    const pattern = textOption(invocation, option);
    return pattern === undefined || texts.some((text) => matchesGlob(pattern, text));
  });
}

/** `time outcome who method server name status latency: error`. */
function layOut(entry: Logged): string {
  const of = (field: string): string => textOf(entry[field]) ?? '-';
  const what = [entry['upstream'], entry['rpc_name']].flatMap((part) => textOf(part) ?? []).join(' ');
  const parts = [of('ts'), of('outcome'), of('principal'), of('rpc_method'), what, `HTTP ${of('http_status')}`];
  const error = entry['error'] === null ? '' : `: ${of('error_code')} ${of('error')}`;
  const tool = entry['tool_error'] === true ? ' (the tool reports an error)' : '';
  return `${parts.filter((part) => part !== '').join('  ')}  ${of('latency_ms')} ms${tool}${error}`;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}
