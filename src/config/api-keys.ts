/**
 * Keys of other programs: `KEY:NAME` and `{KEY: {client_id, scopes}}`, and what their scopes grant.
 *
 * Whoever sends a key is the client of that name. Without scopes, and with the scope `*`, they may use all servers, as
 * where the file comes from; further scopes are read as SERVER, SERVER:* and SERVER:TOOL, and one that names no server
 * grants nothing and is a warning. A key never widens what tokens.yml says of a user.
 */
import type { AccessFilter, AccessRule, ServerConfig } from '../model.ts';
import { prefixText } from '../text/name-prefix.ts';
import type { YamlNode } from '../text/yaml.ts';
import { addUp } from './access.ts';
import { placeOf, showName, shownName, type Place } from './problems.ts';
import { readText, type Reading } from './reading.ts';
import { isUserName, type UserDraft } from './users.ts';

export interface ApiKey {
  readonly key: string;
  readonly client: string;
  /** Undefined: all. */
  readonly scopes: readonly { readonly text: string; readonly at: Place }[] | undefined;
  /** Undefined for one from the environment. */
  readonly reading: Reading | undefined;
}

export interface Grants {
  readonly servers: AccessFilter;
  readonly tools: AccessFilter | undefined;
}

/** The keys of a file `{KEY: {client_id, scopes}}`. */
export function readKeyFile(reading: Reading, root: YamlNode): ApiKey[] {
  return (root.kind === 'map' ? root.pairs : []).flatMap(({ name: key, value }) => {
    reading.secrets.add(key);
    const member = (name: string): YamlNode | undefined =>
      value.kind === 'map' ? value.pairs.find((pair) => pair.name === name)?.value : undefined;
    const node = member('client_id');
    const client = node === undefined ? undefined : readText(reading, node, 'open');
    if (client !== undefined && isUserName(client))
      return [{ key, client, scopes: readScopes(reading, member('scopes')), reading }];
    reading.problems.error(node, {
      text: 'this "client_id" cannot be the name of a user',
      fix: 'use the characters A-Z a-z 0-9 . _ @ -',
    });
    return [];
  });
}

function readScopes(reading: Reading, node: YamlNode | undefined): ApiKey['scopes'] {
  if (node === undefined || (node.kind === 'scalar' && node.value === null)) return undefined;
  return (node.kind === 'seq' ? node.items : [node]).flatMap((item) => {
    const text = readText(reading, item, 'open')?.trim();
    return text === undefined ? [] : [{ text, at: item }];
  });
}

/** What a key alone lets its client use. */
export function grantsOf({ client, scopes, reading }: ApiKey, servers: ReadonlyMap<string, ServerConfig>): Grants {
  const from = `key of ${client}`;
  const rule = (pattern: string, at: Place | undefined): AccessRule => ({
    pattern,
    from,
    at: reading && placeOf(reading.path, at),
  });
  if (scopes === undefined || scopes.some(({ text }) => text === '*')) {
    return { servers: { allow: [rule('*', undefined)], deny: [] }, tools: undefined };
  }
  const named: AccessRule[] = [];
  const tools: AccessRule[] = [];
  for (const { text, at } of scopes) {
    const colon = text.indexOf(':');
    const name = colon === -1 ? text : text.slice(0, colon);
    const server = servers.get(name);
    if (server === undefined) {
      reading?.problems.warning(at, {
        text: `the scope ${showName(text)} names no server and grants nothing`,
        fix: 'write *, SERVER or SERVER:TOOL',
        shown: shownName(text),
      });
      continue;
    }
    const { prefix } = server.exposure;
    const tool = colon === -1 ? '*' : text.slice(colon + 1);
    named.push(rule(name, at));
    // Of a server without a prefix no pattern means all and no other's: where that matters it grants nothing.
    if (prefix !== '' || tool !== '*' || !scopes.some((scope) => /:(?!\*$)/.test(scope.text)))
      tools.push(rule(prefixText(prefix) + tool, at));
  }
  return { servers: { allow: named, deny: [] }, tools: { allow: tools, deny: [] } };
}

/** A user of keys alone with what one more key grants. */
export function addGrants({ servers, tools }: UserDraft, granted: Grants): Pick<UserDraft, 'servers' | 'tools'> {
  const isFirst = servers.filter?.allow?.length === 0;
  // Without a list everything is allowed, whatever a second key says.
  const both = tools !== undefined && granted.tools !== undefined ? addUp([tools, granted.tools]) : undefined;
  return {
    servers: { ...servers, filter: addUp([servers.filter, granted.servers]) },
    tools: isFirst ? granted.tools : both,
  };
}
