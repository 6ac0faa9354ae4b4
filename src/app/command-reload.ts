/**
 * `mcproxy reload`: makes the running service read its files again, and waits for what came of it.
 *
 * Saving a file and SIGHUP do the same without an answer. Exit 0: done, or nothing to do; 78: the files have
 * problems and the service keeps what it had; 69: no service to ask.
 */
import type { Problem } from '../model.ts';
import { askService, reportNoService, SERVICE_OPTIONS } from './admin-client.ts';
import { EXIT, JSON_OPTION, flagOption, type Command, type Invocation } from './command.ts';
import { loadNamed } from './named-files.ts';
import { problemsText } from './report.ts';

/** A reload as the admin socket tells it. */
export interface ReloadAnswer {
  readonly ok: boolean;
  readonly dryRun: boolean;
  readonly changes: readonly string[];
  readonly problems: readonly Problem[];
}

export const reloadCommand: Command = {
  name: 'reload',
  synopsis: '[--dry-run] [--json] [--socket PATH]',
  summary: 'Applies changed files to the running service and prints what changed',
  options: {
    'dry-run': { type: 'boolean', help: 'print what would change, and change nothing' },
    json: JSON_OPTION,
    ...SERVICE_OPTIONS,
  },
  positionals: { min: 0, max: 0 },
  notes: [
    'A file with problems changes nothing: they are printed, the exit code is 78, the service goes on as it was.',
  ],
  async run(invocation) {
    const dryRun = flagOption(invocation, 'dry-run');
    const answer = await askService(invocation, { method: 'POST', target: dryRun ? '/reload?dry_run=1' : '/reload' });
    if (answer.kind === 'none') return reportNobody(invocation, answer.text);
    const result = asReloadAnswer(answer.body);
    if (result === undefined) return reportNoService(invocation, `the service answered ${answer.status}`);
    if (flagOption(invocation, 'json')) invocation.stdout.write(`${JSON.stringify(result)}\n`);
    else print(invocation, result);
    return result.ok ? EXIT.ok : EXIT.config;
  },
};

/** Files that the service would refuse may be the reason why its socket is not known: they come first. */
async function reportNobody(invocation: Invocation, text: string): Promise<number> {
  const { config, problems } = await loadNamed(invocation);
  if (config !== undefined) return reportNoService(invocation, text);
  invocation.stderr.write(problemsText(problems));
  reportNoService(invocation, text);
  return EXIT.config;
}

/** The body of an answer to `/reload`, undefined when it is none. */
export function asReloadAnswer(body: unknown): ReloadAnswer | undefined {
  const { ok, changes, problems } = (body ?? {}) as Partial<ReloadAnswer>;
  if (typeof ok !== 'boolean' || !Array.isArray(changes) || !Array.isArray(problems)) return undefined;
  return body as ReloadAnswer;
}

function print(invocation: Invocation, result: ReloadAnswer): void {
  invocation.stderr.write(problemsText(result.problems));
  if (!result.ok) {
    invocation.stderr.write('Nothing was changed: the service keeps the configuration it had.\n');
    return;
  }
  if (result.changes.length === 0) invocation.stdout.write('Nothing to change.\n');
  else {
    const lines = result.changes.map((change) => `  ${change}`);
    invocation.stdout.write(`${[result.dryRun ? 'Would change:' : 'Changed:', ...lines].join('\n')}\n`);
  }
}
