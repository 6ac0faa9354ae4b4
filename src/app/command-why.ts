/**
 * `mcproxy why USER TOOL|SERVER`: why somebody may use something, or may not.
 *
 * Asks the running service, which knows the lists and the states of its servers; where none runs, the files alone are
 * read, and what they cannot know is said to be unknown. Exit 0: allowed; 1: not allowed, or there is no such user or
 * target; 78: the files have problems.
 */
import { ProxyError } from '../errors.ts';
import { askService, SERVICE_OPTIONS } from './admin-client.ts';
import { EXIT, JSON_OPTION, flagOption, type Command, type Invocation } from './command.ts';
import { loadNamed } from './named-files.ts';
import { problemsText } from './report.ts';
import { explainAccess, type WhyAnswer, type WhyMatch } from './why.ts';

const DENIED = 1;

export const whyCommand: Command = {
  name: 'why',
  synopsis: 'USER TOOL|SERVER [--json]',
  summary: 'Says why a user may use a tool or a server, or may not',
  options: { json: JSON_OPTION, ...SERVICE_OPTIONS },
  positionals: { min: 2, max: 2 },
  notes: [
    'TOOL is a name as in /mcp (server__tool), or without its prefix. Without a running service the files alone are read.',
    'Exit codes: 0 allowed, 1 not allowed or no such user or target, 78 the files have problems.',
  ],
  async run(invocation) {
    const [user = '', target = ''] = invocation.positionals;
    const answer = (await askRunning(invocation, user, target)) ?? (await readFiles(invocation, user, target));
    if (flagOption(invocation, 'json')) invocation.stdout.write(`${JSON.stringify(answer)}\n`);
    else print(invocation, answer);
    return answer.allowed ? EXIT.ok : DENIED;
  },
};

async function askRunning(invocation: Invocation, user: string, target: string): Promise<WhyAnswer | undefined> {
  const query = new URLSearchParams({ user, target });
  const answer = await askService(invocation, { method: 'GET', target: `/why?${query.toString()}` });
  if (answer.kind === 'answer' && answer.status === 200) return answer.body as WhyAnswer;
  // A service that is there and cannot be asked knows more than the files: who asks should hear of it.
  if (answer.kind === 'none' && !answer.absent) invocation.stderr.write(`mcproxy: ${answer.text}; reading the files\n`);
  return undefined;
}

async function readFiles(invocation: Invocation, user: string, target: string): Promise<WhyAnswer> {
  const { config, problems } = await loadNamed(invocation);
  if (config === undefined) {
    invocation.stderr.write(problemsText(problems.filter(({ severity }) => severity === 'error')));
    throw new ProxyError('CONFIG_INVALID', 'the files have problems, so nothing can be said about them');
  }
  return explainAccess({
    config,
    user,
    target,
    nowMs: Date.now(),
    upstream: () => ({ state: 'not running', tools: undefined }),
  });
}

function print({ stdout, stderr }: Invocation, answer: WhyAnswer): void {
  const { user, target, unknown, nearest } = answer;
  if (unknown !== null) {
    const what = unknown === 'user' ? `there is no user "${user}"` : `there is no server or tool "${target}"`;
    const hint = nearest.length === 0 ? '' : `; did you mean ${nearest.map((name) => `"${name}"`).join(' or ')}?`;
    stderr.write(printable(`mcproxy: ${what}${hint}`));
    return;
  }
  stdout.write(printable(`user        ${user}, role ${[answer.role, ...answer.roles].join(', ')}`));
  for (const { label, state, networks } of answer.tokens) {
    const from = networks.length === 0 ? '' : `, from ${networks.join(', ')} only`;
    stdout.write(printable(`token       ${label ?? 'without label'}: ${state}${from}`));
  }
  if (answer.tokens.length === 0) stdout.write('token       none: this user cannot come in\n');
  for (const match of answer.matches) for (const line of linesOf(match)) stdout.write(printable(line));
}

function linesOf(match: WhyMatch): string[] {
  const { rule, credential } = match;
  const isTool = match.tool !== null;
  const exists = match.exists === null ? ' (whether the server has it is not known)' : '';
  return [
    '',
    isTool ? `tool        ${match.exposed_name ?? ''}${exists}` : `server      ${match.server}`,
    ...(isTool ? [`is          ${match.tool ?? ''} at server ${match.server}`] : []),
    `answer      ${match.allowed ? 'ALLOWED' : 'DENIED'}: ${match.reason}`,
    ...(rule === null ? [] : [`rule        ${rule.pattern} (${rule.from}${place(rule.at)})`]),
    `credential  ${credential.sent} (${credential.from}${place(credential.at)})`,
    `upstream    ${match.upstream}`,
  ];
}

function place(at: string | null): string {
  return at === null ? '' : `, ${at}`;
}

/** One line; a name from outside must not move the cursor. */
function printable(line: string): string {
  return `${line.replaceAll(/\p{Cc}/gu, '·')}\n`;
}
