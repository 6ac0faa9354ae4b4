/**
 * `mcproxy lock`, `lock diff` and `lock approve`: pinning what the tools of servers look like, in a file for git.
 *
 * `lock` takes in servers that are not in the file yet and changes nothing of those that are; `diff` says in words how
 * servers differ from it; `approve` shows the same and takes it over. The running service notices the new file by itself.
 * What is approved is what was shown, from one answer. The file is `config/lock-file`, the guard `gateway/tool-guard`.
 */
import { createInterface } from 'node:readline/promises';

import { printLockFile, type Locked, type LockedTool } from '../config/lock-file.ts';
import { ProxyError } from '../errors.ts';
import { CONFIG_BYTES_MAX } from '../limits.ts';
import type { ToolDrift } from '../mcp/tool-lock.ts';
import { findNearest } from '../text/nearest.ts';
import { EXIT, JSON_OPTION, flagOption, usageError, type Command, type Invocation } from './command.ts';
import { editFile } from './edit-file.ts';
import { LOCAL_NOTES, LOCAL_OPTIONS, printable, withServers, type Session } from './local-command.ts';
import {
  askTools,
  differenceLines,
  differenceOf,
  openLockFile,
  readLocked,
  type Asked,
  type AskedServer,
} from './lock-asking.ts';

const NOTES = [
  ...LOCAL_NOTES,
  'mcproxy.lock stands beside mcproxy.yml. `lock: warn` or `lock: block` there, for all or for one server, makes the\nservice compare; with block a tool that is new or changed is withheld until it is approved.',
];

const lockCommand: Command = {
  name: 'lock',
  synopsis: '[SERVER...] [--user NAME]',
  summary: 'Writes the tools of servers that are not locked yet to mcproxy.lock',
  options: LOCAL_OPTIONS,
  positionals: { min: 0, max: 1_000 },
  notes: ['Exit codes: 1 a server that is locked differs; see `mcproxy lock diff`.', ...NOTES],
  run: (invocation) =>
    withTools(invocation, invocation.positionals, async ({ asked, locked, path }) => {
      const { stdout } = invocation;
      const fresh = asked.answered.filter(({ server }) => !locked.has(server));
      if (fresh.length > 0) {
        await writeLock(path, (old) => {
          const added = fresh
            .filter(({ server }) => !old.has(server))
            .map(({ server, tools }) => [server, tools] as const);
          return new Map([...old, ...added]);
        });
      }
      for (const { server, tools } of fresh) stdout.write(`${server}: locked, ${counted(tools.size)}\n`);
      let code = reportMissing(invocation, asked);
      for (const one of asked.answered) {
        if (fresh.includes(one)) continue;
        const drift = differenceOf(locked, one);
        stdout.write(
          `${one.server}: ${drift === undefined ? 'as locked' : `${summary(drift)}; see mcproxy lock diff ${one.server}`}\n`,
        );
        if (drift !== undefined) code = EXIT.failed;
      }
      if (fresh.length > 0) stdout.write(`Written: ${printable(path)}\n`);
      return code;
    }),
};

const diffCommand: Command = {
  name: 'lock diff',
  synopsis: '[SERVER] [--user NAME] [--json]',
  summary: 'Says how the tools of servers differ from mcproxy.lock',
  options: { json: JSON_OPTION, ...LOCAL_OPTIONS },
  positionals: { min: 0, max: 1 },
  notes: ['Exit codes: 0 no difference, 1 there is one.', ...NOTES],
  run: (invocation) =>
    withTools(invocation, invocation.positionals, ({ asked, locked }) => {
      const missing = reportMissing(invocation, asked);
      const found = differencesIn(asked, locked);
      if (flagOption(invocation, 'json')) {
        const servers = found.map(({ one, drift }) => ({
          server: one.server,
          locked: locked.has(one.server),
          changed: drift.changed,
          new: drift.added,
          vanished: drift.vanished,
          lines: differenceLines(locked, one, drift),
        }));
        invocation.stdout.write(`${JSON.stringify({ servers })}\n`);
      } else {
        show(invocation, found, locked);
        for (const { one } of found) {
          const verb = locked.has(one.server) ? 'lock approve' : 'lock';
          invocation.stdout.write(`To take this over: mcproxy ${verb} ${one.server}\n`);
        }
        if (found.length === 0 && missing === EXIT.ok) invocation.stdout.write('No difference.\n');
      }
      return Promise.resolve(found.length > 0 ? EXIT.failed : missing);
    }),
};

const approveCommand: Command = {
  name: 'lock approve',
  synopsis: '[SERVER] [TOOL...] [--user NAME] [--yes]',
  summary: 'Shows how tools differ from mcproxy.lock and takes it over',
  options: { yes: { type: 'boolean', help: 'do not ask' }, ...LOCAL_OPTIONS },
  positionals: { min: 0, max: 1_000 },
  notes: [
    'Without TOOL: all of the server; without SERVER: all servers that are in the file. The running service applies it\nat once and tells its clients.',
    ...NOTES,
  ],
  run: (invocation) =>
    withTools(invocation, invocation.positionals.slice(0, 1), async (lock, session) =>
      approve(invocation, lock, session),
    ),
};

export const lockCommands: readonly Command[] = [lockCommand, diffCommand, approveCommand];

interface Lock {
  readonly asked: Asked;
  readonly locked: Locked;
  readonly path: string;
}

/** Reads the lock file, asks the servers, and does the work on both. */
async function withTools(
  invocation: Invocation,
  only: readonly string[],
  work: (lock: Lock, session: Session) => Promise<number>,
): Promise<number> {
  const file = await openLockFile(invocation);
  if (file === undefined) return EXIT.config;
  return withServers(invocation, async (session) => {
    const asked = await askTools(invocation, session, only);
    if (typeof asked === 'number') return asked;
    const known = [...asked.answered, ...asked.missing].map(({ server }) => server);
    const unknown = only.find((server) => !known.includes(server));
    if (unknown !== undefined) return usageError(invocation.stderr, unknownServer(unknown, [...file.locked.keys()]));
    return work({ ...file, asked }, session);
  });
}

function unknownServer(name: string, names: readonly string[]): string {
  const nearest = findNearest(name, names);
  const hint =
    nearest === undefined || nearest === name ? '; `mcproxy status` shows all' : `; did you mean "${nearest}"?`;
  return `there is no server "${printable(name)}"${hint}`;
}

interface Difference {
  readonly one: AskedServer;
  readonly drift: ToolDrift;
}

function differencesIn(asked: Asked, locked: Locked): Difference[] {
  return asked.answered.flatMap((one) => {
    const drift = differenceOf(locked, one);
    return drift === undefined ? [] : [{ one, drift }];
  });
}

async function approve(invocation: Invocation, { asked, locked, path }: Lock, session: Session): Promise<number> {
  const [server, ...tools] = invocation.positionals;
  const missing = reportMissing(invocation, asked);
  // A server that nobody locked is not taken in along with others.
  const found = differencesIn(asked, locked).filter(({ one }) => server !== undefined || locked.has(one.server));
  const chosen = found
    .map(({ one, drift }) => ({ one, drift: tools.length === 0 ? drift : narrow(drift, tools) }))
    .filter(({ drift }) => drift.changed.length + drift.added.length + drift.vanished.length > 0);
  const idle = tools.find((tool) => !chosen.some(({ drift }) => namesIn(drift).includes(tool)));
  if (idle !== undefined) {
    return usageError(invocation.stderr, `there is nothing to approve for the tool "${printable(idle)}"`);
  }
  if (chosen.length === 0) {
    if (missing === EXIT.ok) invocation.stdout.write('There is nothing to approve.\n');
    return missing;
  }
  show(invocation, chosen, locked);
  if (!flagOption(invocation, 'yes')) {
    const answer = await session.pause(() => confirm());
    if (answer === undefined)
      return usageError(invocation.stderr, 'nobody can be asked here; --yes approves what is shown');
    if (!answer) return EXIT.failed;
  }
  await writeLock(path, (old) => new Map([...old, ...chosen.map((one) => takenOver(old, one))]));
  for (const { one, drift } of chosen) {
    invocation.stdout.write(`${one.server}: approved, ${counted(namesIn(drift).length)}\n`);
  }
  return missing;
}

function takenOver(old: Locked, { one, drift }: Difference): readonly [string, ReadonlyMap<string, LockedTool>] {
  const tools = new Map(old.get(one.server));
  for (const name of drift.vanished) tools.delete(name);
  for (const name of [...drift.changed, ...drift.added]) {
    const tool = one.tools.get(name);
    if (tool !== undefined) tools.set(name, tool);
  }
  return [one.server, tools];
}

function narrow({ changed, added, vanished }: ToolDrift, tools: readonly string[]): ToolDrift {
  const isChosen = (name: string): boolean => tools.includes(name);
  return { changed: changed.filter(isChosen), added: added.filter(isChosen), vanished: vanished.filter(isChosen) };
}

function namesIn({ changed, added, vanished }: ToolDrift): string[] {
  return [...changed, ...added, ...vanished];
}

function show({ stdout }: Invocation, found: readonly Difference[], locked: Locked): void {
  for (const { one, drift } of found) {
    if (!locked.has(one.server)) stdout.write(`${one.server}: not locked yet\n`);
    for (const line of differenceLines(locked, one, drift)) stdout.write(`${visible(line)}\n`);
  }
}

/** A line of a server's text: what cannot be seen, or steers a terminal, is spelled out. */
function visible(line: string): string {
  return line.replaceAll(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, (char) =>
    char === '\t' ? ' ' : `<U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}>`,
  );
}

/** Undefined where nobody sits at a terminal. */
async function confirm(): Promise<boolean | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // In raw mode the terminal sends no signal; whoever ends the command listens for one.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<string>((done) => void lines.once('close', () => done('')));
  try {
    return /^y(?:es)?$/i.test((await Promise.race([lines.question('Approve this? [y/N] '), closed])).trim());
  } finally {
    lines.close();
  }
}

/** @throws {ProxyError} CONFIG_INVALID when the file cannot be written, or would be too long to be read again */
async function writeLock(path: string, change: (old: Locked) => Locked): Promise<void> {
  await editFile(path, (text) => {
    const read = readLocked(path, text);
    if (!('locked' in read)) throw new ProxyError('CONFIG_INVALID', `${path} cannot be read; run: mcproxy check`);
    const after = printLockFile(change(read.locked));
    if (after.length <= CONFIG_BYTES_MAX) return after;
    throw new ProxyError(
      'CONFIG_INVALID',
      `${path} would be longer than ${CONFIG_BYTES_MAX} bytes; lock fewer servers`,
    );
  });
}

/** Says who did not answer; the exit code that this means. */
function reportMissing({ stderr }: Invocation, { missing }: Asked): number {
  for (const { server, reason } of missing) {
    stderr.write(`mcproxy: ${printable(`${server} did not tell its tools: ${reason ?? 'it has not answered yet'}`)}\n`);
  }
  return missing.length > 0 ? EXIT.unavailable : EXIT.ok;
}

function summary({ changed, added, vanished }: ToolDrift): string {
  return `${changed.length} changed, ${added.length} new, ${vanished.length} vanished`;
}

function counted(count: number): string {
  return count === 1 ? '1 tool' : `${count} tools`;
}
