/**
 * What `mcproxy lock`, `lock diff` and `lock approve` have in common: the lock file, and the tools of the servers as they
 * give them now.
 *
 * The servers are asked through the running service, else from the same files. What is compared and what is written come
 * from one answer, so that nothing is approved that was not shown.
 */
import { collectProblems } from '../config/problems.ts';
import { digestsOf, readLockFile, type Locked, type LockedTool } from '../config/lock-file.ts';
import { digestOf } from '../gateway/tool-guard.ts';
import type { ViewServer } from '../gateway/view.ts';
import { describeChange } from '../mcp/tool-diff.ts';
import { compareTools, hasDrift, lockedPart, type ToolDrift } from '../mcp/tool-lock.ts';
import type { JsonObject } from '../mcp/waist.ts';
import { parseYaml } from '../text/yaml.ts';
import type { Invocation } from './command.ts';
import { reportRefusal, tellingWaits, type Session } from './local-command.ts';
import { OWN_TOOLS_METHOD } from './local-requests.ts';
import { loadNamed } from './named-files.ts';
import { readOperatorFile } from './operator-file.ts';
import { problemsText } from './report.ts';

const NO_TOOLS: ReadonlyMap<string, LockedTool> = new Map(); // Bounded by CONFIG_BYTES_MAX.
const NO_KEYS: ReadonlySet<string> = new Set(); // Bounded by CONFIG_BYTES_MAX.

/** One server that answered. */
export interface AskedServer {
  readonly server: string;
  readonly tools: ReadonlyMap<string, LockedTool>;
  /** The list was cut, so that nothing can be missed in it. */
  readonly cut: boolean;
}

export interface Asked {
  readonly answered: readonly AskedServer[];
  /** Those that did not. */
  readonly missing: readonly ViewServer[];
}

export interface LockFile {
  readonly path: string;
  readonly locked: Locked;
}

/** The lock file that goes with the configuration; undefined after its problems were printed. */
export async function openLockFile(invocation: Invocation): Promise<LockFile | undefined> {
  const { lockFile: path } = await loadNamed(invocation);
  const file = await readOperatorFile(path);
  const text = file.state === 'read' ? file.text : '';
  if (file.state === 'unusable') {
    invocation.stderr.write(`mcproxy: ${path}: ${file.text}: ${file.fix}\n`);
    return undefined;
  }
  const read = readLocked(path, text);
  if ('locked' in read) return { path, locked: read.locked };
  invocation.stderr.write(read.problems);
  return undefined;
}

/** What a text in the place of the lock file says, or its problems for printing. */
export function readLocked(path: string, text: string): { readonly locked: Locked } | { readonly problems: string } {
  const list = collectProblems();
  const problems = list.forFile(path, text, NO_KEYS);
  const document = parseYaml(text);
  for (const problem of document.problems) problems.error(problem, { text: problem.text, fix: problem.fix });
  const locked = readLockFile(document.problems.length === 0 ? document.root : undefined, problems);
  return list.errorCount() > 0 ? { problems: problemsText(list.list()) } : { locked };
}

/** The tools of all servers, or of those that are named; the exit code after a refusal. */
export async function askTools(
  invocation: Invocation,
  session: Session,
  only: readonly string[],
): Promise<Asked | number> {
  const { response, servers } = await session.ask({ method: OWN_TOOLS_METHOD, params: {} }, tellingWaits(invocation));
  if ('error' in response) return reportRefusal(invocation, response);
  const given = response.result['servers'] as readonly { server: string; tools: readonly JsonObject[]; cut: boolean }[];
  const isWanted = (server: string): boolean => only.length === 0 || only.includes(server);
  const states = servers.filter(({ server }) => isWanted(server));
  const answered = given.filter(({ server }) => states.some((one) => one.server === server && one.state === 'listed'));
  return {
    answered: answered.map(({ server, tools, cut }) => ({
      server,
      cut,
      tools: new Map(
        tools.map((tool) => [String(tool['name']), { digest: digestOf(tool), definition: lockedPart(tool) }]),
      ),
    })),
    missing: states.filter(({ server }) => !answered.some((one) => one.server === server)),
  };
}

/** How a server differs from the lock; undefined when it does not. */
export function differenceOf(locked: Locked, { server, tools, cut }: AskedServer): ToolDrift | undefined {
  const drift = compareTools(digestsOf(locked.get(server) ?? NO_TOOLS), digestsOf(tools), !cut);
  return hasDrift(drift) ? drift : undefined;
}

/** The difference in words, one line each. */
export function differenceLines(locked: Locked, asked: AskedServer, drift: ToolDrift): string[] {
  const { server, tools } = asked;
  const old = locked.get(server) ?? NO_TOOLS;
  const of = (kind: 'changed' | 'new' | 'vanished', name: string): string[] => {
    const [before, after] = [old.get(name)?.definition, tools.get(name)?.definition];
    const isUnknown = kind === 'changed' && before === undefined;
    const words = isUnknown ? ['what it was is not in the lock file; it is now:'] : [];
    const lines = [...words, ...describeChange(before, after)].flatMap((line) => line.split('\n'));
    return [`${server}: ${name}: ${kind}`, ...lines.map((line) => `    ${line}`)];
  };
  return [
    ...drift.changed.flatMap((name) => of('changed', name)),
    ...drift.added.flatMap((name) => of('new', name)),
    ...drift.vanished.flatMap((name) => of('vanished', name)),
  ];
}
