/**
 * `mcproxy why USER TOOL|SERVER`: why somebody may use something, or may not.
 *
 * Asks the running service, which knows the lists and the states of its servers and the access tokens that it let in;
 * where none runs, the files alone are read, and what they cannot know is said to be unknown. Exit 0: allowed; 1: not
 * allowed, not known, or there is no such user or target; 78: the files have problems.
 */
import { ProxyError } from '../errors.ts';
import { askService, SERVICE_OPTIONS } from './admin-client.ts';
import { CLOCK } from './clock.ts';
import { EXIT, JSON_OPTION, flagOption, listOption, type Command, type Invocation } from './command.ts';
import { loadNamed } from './named-files.ts';
import { problemsText } from './report.ts';
import { tokenText } from './token-text.ts';
import { explainAccess, whyQuery, type WhyAnswer, type WhyAsked, type WhyMatch } from './why.ts';

const DENIED = 1;

export const whyCommand: Command = {
  name: 'why',
  synopsis: 'USER TOOL|SERVER [--role NAME]... [--server NAME]... [--json]',
  summary: 'Says why a user may use a tool or a server, or may not',
  options: {
    role: { type: 'string', multiple: true, value: 'NAME', help: 'what an access token names as a role (repeat it)' },
    server: { type: 'string', multiple: true, value: 'NAME', help: 'what it names as a server (repeat it)' },
    json: JSON_OPTION,
    ...SERVICE_OPTIONS,
  },
  positionals: { min: 2, max: 2 },
  notes: [
    'USER is one of tokens.yml, or oauth:NAME, as in the log, for who comes in by an access token. What that token names',
    'knows a service that has seen one; --role and --server say something else.',
    'TOOL is a name as in /mcp (server__tool), or without its prefix. Without a running service the files alone are read.',
    'Exit codes: 0 allowed, 1 not allowed, not known, or no such user or target, 78 the files have problems.',
  ],
  async run(invocation) {
    const [user = '', target = ''] = invocation.positionals;
    const named = { roles: listOption(invocation, 'role'), servers: listOption(invocation, 'server') };
    const isSaid = named.roles.length + named.servers.length > 0;
    const asked: WhyAsked = { user, target, named: isSaid ? named : undefined };
    const answer = (await askRunning(invocation, asked)) ?? (await readFiles(invocation, asked));
    if (flagOption(invocation, 'json')) invocation.stdout.write(`${JSON.stringify(answer)}\n`);
    else print(invocation, answer);
    return answer.allowed ? EXIT.ok : DENIED;
  },
};

async function askRunning(invocation: Invocation, asked: WhyAsked): Promise<WhyAnswer | undefined> {
  const query = whyQuery(asked);
  const answer = await askService(invocation, { method: 'GET', target: `/why?${query.toString()}` });
  if (answer.kind === 'answer' && answer.status === 200) return answer.body as WhyAnswer;
  // A service that is there and cannot be asked knows more than the files: who asks should hear of it.
  if (answer.kind === 'none' && !answer.absent) invocation.stderr.write(`mcproxy: ${answer.text}; reading the files\n`);
  return undefined;
}

async function readFiles(invocation: Invocation, asked: WhyAsked): Promise<WhyAnswer> {
  const { config, problems } = await loadNamed(invocation);
  if (config === undefined) {
    invocation.stderr.write(problemsText(problems.filter(({ severity }) => severity === 'error')));
    throw new ProxyError('CONFIG_INVALID', 'the files have problems, so nothing can be said about them');
  }
  return explainAccess({
    ...asked,
    config,
    seen: () => [],
    nowMs: CLOCK.wallMs(),
    upstream: () => ({ state: 'not running', tools: undefined }),
    tokenState: () => undefined,
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
  if (answer.tokens.length === 0)
    stdout.write(`token       none${answer.note === null ? ': this user cannot come in' : ''}\n`);
  if (answer.note !== null) stdout.write(printable(`note        ${answer.note}`));
  for (const match of answer.matches) for (const line of linesOf(match, CLOCK.wallMs())) stdout.write(printable(line));
}

function linesOf(match: WhyMatch, nowMs: number): string[] {
  const { rule, credential } = match;
  const isTool = match.tool !== null;
  const exists = match.exists === null ? ' (whether the server has it is not known)' : '';
  return [
    '',
    isTool ? `tool        ${match.exposed_name ?? ''}${exists}` : `server      ${match.server}`,
    ...(isTool ? [`is          ${match.tool ?? ''} at server ${match.server}`] : []),
    `answer      ${verdictOf(match)}: ${match.reason}`,
    ...(rule === null ? [] : [`rule        ${rule.pattern} (${rule.from}${place(rule.at)})`]),
    `credential  ${credential.sent} (${credential.from}${place(credential.at)})`,
    ...(credential.token ? [`token now   ${tokenText(credential.token, nowMs)}`] : []),
    `upstream    ${match.upstream}`,
  ];
}

function verdictOf({ allowed }: WhyMatch): string {
  if (allowed === null) return 'UNKNOWN';
  return allowed ? 'ALLOWED' : 'DENIED';
}

function place(at: string | null): string {
  return at === null ? '' : `, ${at}`;
}

/** One line; a name from outside must not move the cursor. */
function printable(line: string): string {
  return `${line.replaceAll(/\p{Cc}/gu, '·')}\n`;
}
