/**
 * The manual of the options, printed by `mcproxy check --explain`: every row of the schema, in its order.
 *
 * For each option first what holds without it, then the unit, then when to change it. Generated, so that it cannot say
 * something else than the decoder does.
 */
import { ENVIRONMENT } from './environment.ts';
import { AUTH, SERVER, SETTINGS, type Table } from './schema.ts';
import { TOOL_LIMIT } from './schema-limits.ts';
import { OAUTH_CLIENT } from './schema-oauth-client.ts';
import { SIGNING } from './schema-signing.ts';
import { ROLE, TOKEN, USER } from './schema-users.ts';

const WIDTH = 100;

/** The whole manual as text with a final newline. */
export function explainConfig(): string {
  const parts = [
    section('mcproxy.yml', SETTINGS),
    section('A server: servers.NAME, or users.NAME.servers.NAME', SERVER),
    section('A credential as a map: auth of a server', AUTH),
    section('A signature: auth of a server with type: hmac', SIGNING),
    section('Access tokens that are got: auth of a server with type: oauth', OAUTH_CLIENT),
    section('A user: users.NAME, in tokens.yml', USER),
    section('A role: roles.NAME, in tokens.yml', ROLE),
    section('A token as a map: token of a user', TOKEN),
    section('A limit of tools: limits.tools.PATTERN', TOOL_LIMIT),
    ['Environment', '', ...ENVIRONMENT.flatMap(({ name, meaning }) => option(name, [meaning])), ...REFERENCES].join(
      '\n',
    ),
  ];
  return `${parts.join('\n\n')}\n`;
}

const REFERENCES = [
  'In every text of the files ${NAME} stands for the variable NAME, ${NAME:-default} for the default where NAME is not',
  'set or empty, and $${ for the characters ${. HOSTNAME is always set.',
];

function section(title: string, table: Table): string {
  const options = Object.entries(table).flatMap(([name, field]) => {
    const unit = field.unit === undefined ? [] : [`Unit: ${field.unit}.`];
    return option(name, [`Default: ${field.default}.`, ...unit, field.when]);
  });
  return [title, '', ...options].join('\n').trimEnd();
}

function option(name: string, sentences: readonly string[]): string[] {
  return [`  ${name}`, ...wrap(sentences.join(' ')).map((line) => `      ${line}`), ''];
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
