/**
 * Edits of the text of tokens.yml that leave comments, order and spelling of everything else as they are.
 *
 * The parsed nodes tell where to cut and paste, in block style, in `{ }` style and in JSON alike. Every result is parsed
 * again and compared with what the edit was meant to do; where that differs, and where the text has problems already,
 * nothing is returned and the operator is asked to edit by hand. Writing the file belongs to `app`.
 */
import { parseYaml, type YamlMap, type YamlNode, type YamlPair } from '../text/yaml.ts';
import {
  checked,
  cutPair,
  endOf,
  findPair,
  indentOf,
  insertInFlow,
  insertLines,
  newline,
  pairsOf,
  quoteIfNeeded,
  refusal,
  STEP,
  type Shape,
} from './edit-text.ts';
import { showName } from './problems.ts';
import { isNothing } from './reading.ts';
import { renderShape, renderToken, tokenShape, type TokenEntry } from './token-entry.ts';
import { isUserName } from './users.ts';

export interface NewUser {
  readonly name: string;
  readonly token: TokenEntry;
  readonly role?: string;
  /** Undefined or `*` means all servers, an empty list what the role says. */
  readonly servers?: readonly string[];
}

export interface ListedUser {
  readonly name: string;
  readonly role: string;
  /** Further roles; `role` may be one too. */
  readonly roles: readonly string[];
  readonly tokenCount: number;
  /** What is written of each besides the token itself. */
  readonly tokens: readonly ListedToken[];
  /** `*` among them means all servers. */
  readonly servers: readonly string[];
}

export interface ListedToken {
  readonly label: string | null;
  readonly expires: string | null;
  readonly not_before: string | null;
  readonly networks: readonly string[];
}

/**
 * Adds a user after those that are there.
 *
 * @throws {ProxyError} CONFIG_INVALID when the user exists, the name is none, or the text cannot be edited safely
 */
export function addUser(text: string, user: NewUser): string {
  if (!isUserName(user.name))
    throw refusal(`${showName(user.name)} cannot be the name of a user: use the characters A-Z a-z 0-9 . _ @ -`);
  const root = parse(text);
  const users = root === undefined ? undefined : findPair(root, 'users');
  if (users?.value.kind === 'map' && findPair(users.value, user.name) !== undefined) {
    throw refusal(
      `the user ${showName(user.name)} exists already: \`mcproxy token add\` with --label adds a token, \`mcproxy token rotate\` replaces one, \`mcproxy token revoke\` removes the user`,
    );
  }
  const shape = shapeOfUser(user);
  const before = root === undefined ? [] : pairsOf(root);
  const others = users?.value.kind === 'map' ? pairsOf(users.value) : [];
  const after: (readonly [string, Shape])[] = before.map(([name, value]) => [
    name,
    name === 'users' ? { map: [...others, [user.name, shape]] } : value,
  ]);
  if (users === undefined) after.push(['users', { map: [[user.name, shape]] }]);
  return checked(insertUser(text, { root, users }, user), { map: after });
}

/** Whether there is a user of that name. @throws {ProxyError} CONFIG_INVALID when the text has problems */
export function hasUser(text: string, name: string): boolean {
  const root = parse(text);
  const users = root === undefined ? undefined : findPair(root, 'users')?.value;
  return users?.kind === 'map' && findPair(users, name) !== undefined;
}

/**
 * Removes a user.
 *
 * @throws {ProxyError} CONFIG_INVALID when there is no such user or the text cannot be edited safely
 */
export function removeUser(text: string, name: string): string {
  const { root, users, pair } = findUser(text, name);
  const rest = pairsOf(users).filter(([other]) => other !== name);
  const left: Shape = rest.length === 0 && !users.flow ? null : { map: rest };
  return checked(cutPair(text, users, pair), {
    map: pairsOf(root).map(([key, value]) => [key, key === 'users' ? left : value]),
  });
}

/**
 * Replaces all tokens of a user by one.
 *
 * @throws {ProxyError} CONFIG_INVALID when there is no such user or the text cannot be edited safely
 */
export function replaceToken(text: string, name: string, entry: TokenEntry): string {
  const { pair } = findUser(text, name);
  return checked(putToken(text, pair, entry), userShape(text, name, tokenShape(entry)));
}

/** What the file means with `token` as the tokens of a user. */
export function userShape(text: string, name: string, token: Shape): Shape {
  const { root, users, pair } = findUser(text, name);
  const fields = pair.value.kind === 'map' ? pairsOf(pair.value) : [];
  const changed = fields.some(([field]) => field === 'token')
    ? fields.map(([field, value]) => [field, field === 'token' ? token : value] as const)
    : [['token', token] as const, ...fields];
  const list = pairsOf(users).map(([other, value]) => [other, other === name ? { map: changed } : value] as const);
  return { map: pairsOf(root).map(([key, value]) => [key, key === 'users' ? { map: list } : value]) };
}

/**
 * The users of the text, without their tokens.
 *
 * @throws {ProxyError} CONFIG_INVALID when the text has problems
 */
export function listUsers(text: string): ListedUser[] {
  const root = parse(text);
  const users = root === undefined ? undefined : findPair(root, 'users')?.value;
  if (users?.kind !== 'map') return [];
  return users.pairs.map(({ name, value }) => {
    const field = (key: string): YamlNode | undefined =>
      value.kind === 'map' ? findPair(value, key)?.value : undefined;
    const role = field('role');
    const token = field('token');
    const tokens = token === undefined || isNothing(token) ? [] : token.kind === 'seq' ? token.items : [token];
    return {
      name,
      role: role?.kind === 'scalar' && role.value !== null ? String(role.value) : 'user',
      roles: wordsOf(field('roles')),
      tokenCount: tokens.length,
      tokens: tokens.map(listToken),
      servers: wordsOf(field('servers')),
    };
  });
}

function listToken(node: YamlNode): ListedToken {
  const words = (key: string): string[] => wordsOf(node.kind === 'map' ? findPair(node, key)?.value : undefined);
  return {
    label: words('label')[0] ?? null,
    expires: words('expires')[0] ?? null,
    not_before: words('not_before')[0] ?? null,
    networks: words('networks'),
  };
}

function parse(text: string): YamlMap | undefined {
  const { root, problems } = parseYaml(text);
  const [problem] = problems;
  if (problem !== undefined)
    throw refusal(
      `the file cannot be edited before it is correct: line ${problem.line}, column ${problem.column}: ${problem.text}`,
    );
  if (root === undefined || isNothing(root)) return undefined;
  if (root.kind !== 'map') throw refusal('the file does not hold a map with "users"');
  return root;
}

export function findUser(text: string, name: string): { root: YamlMap; users: YamlMap; pair: YamlPair } {
  const root = parse(text);
  const users = root === undefined ? undefined : findPair(root, 'users')?.value;
  const pair = users?.kind === 'map' ? findPair(users, name) : undefined;
  if (root === undefined || users?.kind !== 'map' || pair === undefined) {
    throw refusal(`there is no user ${showName(name)} in the file: \`mcproxy token list\` shows those that are`);
  }
  return { root, users, pair };
}

function insertUser(
  text: string,
  place: { root: YamlMap | undefined; users: YamlPair | undefined },
  user: NewUser,
): string {
  const { root, users } = place;
  if (root?.flow === true && users === undefined) return insertInFlow(text, root, `"users": {${flowUser(user)}}`);
  if (users?.value.kind === 'map' && users.value.flow) return insertInFlow(text, users.value, flowUser(user));
  if (users === undefined) {
    const indent = indentOf(root);
    return insertLines(text, text.length, [`${indent}users:`, ...blockUser(user, indent + STEP)]);
  }
  if (users.value.kind === 'map') {
    return insertLines(text, endOf(users.value, users.key.end), blockUser(user, indentOf(users.value)));
  }
  if (!isNothing(users.value) || root?.flow === true) throw refusal('"users" is not a map, so no user can be added');
  // `users: null` and `users: ~` must lose their value, or the lines below would not belong to them.
  const bare = text.slice(0, users.value.start) + text.slice(users.value.end);
  return insertLines(bare, users.key.end, blockUser(user, indentOf(root) + STEP));
}

function putToken(text: string, user: YamlPair, entry: TokenEntry): string {
  const plain = renderToken(entry, 'yaml');
  if (user.value.kind !== 'map') {
    if (!isNothing(user.value)) throw refusal(`the user ${showName(user.name)} is not a map`);
    const indent = `${' '.repeat(user.key.column - 1)}${STEP}`;
    return insertLines(text.slice(0, user.value.start) + text.slice(user.value.end), user.key.end, [
      `${indent}token: ${plain}`,
    ]);
  }
  const pair = findPair(user.value, 'token');
  const quoted = user.value.flow ? renderToken(entry, 'json') : plain;
  if (pair !== undefined)
    return `${text.slice(0, pair.key.end)}: ${quoted}${text.slice(endOf(pair.value, pair.key.end + 1))}`;
  const first = user.value.pairs[0]?.key.start ?? user.value.start + 1;
  if (!user.value.flow)
    return `${text.slice(0, first)}token: ${plain}${newline(text)}${indentOf(user.value)}${text.slice(first)}`;
  const separator = user.value.pairs.length === 0 ? '' : ', ';
  return `${text.slice(0, first)}"token": ${quoted}${separator}${text.slice(first)}`;
}

function blockUser(user: NewUser, indent: string): string[] {
  const inner = indent + STEP;
  return [
    `${indent}${quoteIfNeeded(user.name)}:`,
    `${inner}token: ${renderToken(user.token, 'yaml')}`,
    ...(user.role === undefined ? [] : [`${inner}role: ${quoteIfNeeded(user.role)}`]),
    ...(user.servers?.length === 0
      ? []
      : [`${inner}servers: ${isAll(user) ? '"*"' : `[${(user.servers ?? []).map(quoteIfNeeded).join(', ')}]`}`]),
  ];
}

function flowUser(user: NewUser): string {
  return `${JSON.stringify(user.name)}: ${renderShape(shapeOfUser(user), 'json')}`;
}

function shapeOfUser(user: NewUser): Shape {
  const role: [string, Shape][] = user.role === undefined ? [] : [['role', user.role]];
  const servers: [string, Shape][] =
    user.servers?.length === 0 ? [] : [['servers', isAll(user) ? '*' : (user.servers ?? [])]];
  return { map: [['token', tokenShape(user.token)], ...role, ...servers] };
}

function isAll(user: NewUser): boolean {
  return user.servers === undefined || user.servers.includes('*');
}

/** The texts of a value that is one text or several; of a map its keys. */
function wordsOf(node: YamlNode | undefined): string[] {
  if (node === undefined || isNothing(node)) return [];
  if (node.kind === 'scalar') return [String(node.value)];
  return node.kind === 'map' ? node.pairs.map((pair) => pair.name) : node.items.flatMap(wordsOf);
}
