/**
 * One upstream: first as a file describes it (a draft), then resolved to what a principal gets.
 *
 * A draft may stand on a base: the same server as everybody has it. What the draft says wins, what it leaves out is
 * inherited, with two exceptions that keep shared secrets where they belong: a draft that changes between `url` and
 * `command` inherits nothing, and one whose `url` leads to another origin inherits neither credential nor headers.
 * What a shared server says each user brings is missing (`lacks`) until a draft of the user's brings it.
 */
import { CONNECT_MS_DEFAULT, FIRST_BYTE_MS_DEFAULT, IDLE_MS_DEFAULT, START_MS_DEFAULT } from '../limits.ts';
import { REPLICA_COUNT_MAX, RETRY_COUNT_DEFAULT } from '../limits.ts';
import type { HttpServerConfig, LimitsSaid, ServerConfig, StdioServerConfig, Timeouts } from '../model.ts';
import type { YamlNode } from '../text/yaml.ts';
import { brings } from './brings.ts';
import { decodeCredential, type CredentialSaid } from './credential.ts';
import { decodeMap, namesWithoutValue, type Decoded, type Pair, type Values } from './decode.ts';
import { changesItems, decodeExposure, placeOfChange, resolveExposure, type ExposureSaid } from './exposure.ts';
import { READERS } from './kinds.ts';
import { decodeLimits, serverLimits } from './limits.ts';
import { resolveLock } from './lock-mode.ts';
import { BROUGHT_REFRESH_TOKEN, completeOAuthClient } from './oauth-client.ts';
import type { SharedClient } from './oauth-inherit.ts';
import { placeOf, shownName, showName, type Place } from './problems.ts';
import { readText, type Reading } from './reading.ts';
import { SERVER, type SETTINGS } from './schema.ts';
import { addArgumentSecrets, addPairSecrets, addUrlSecrets } from './secrecy.ts';

export interface ServerDraft {
  readonly name: string;
  /** Its name in the file. */
  readonly at: Place;
  readonly reading: Reading;
  readonly fields: Decoded<typeof SERVER>;
  readonly said: CredentialSaid;
  readonly exposure: ExposureSaid;
  readonly limits: LimitsSaid;
  /** From a file of another program. */
  readonly foreign: boolean;
  /** Nothing is said but the name. */
  readonly empty: boolean;
  /** Something in it is wrong and was reported; it cannot be resolved. */
  readonly broken: boolean;
}

/** What a draft stands on. */
export interface Ground {
  readonly base: ServerConfig | undefined;
  readonly defaults: Values<typeof SETTINGS>;
  /** The draft is one user's. */
  readonly personal: boolean;
}

/** Decodes one entry; a text alone is its URL. */
export function decodeServer(
  from: { readonly reading: Reading; readonly name: string; readonly at: Place; readonly node: YamlNode },
  options: { readonly foreign: boolean; readonly shared?: boolean },
): ServerDraft {
  const { reading, node } = from;
  const lacking = options.shared ?? false;
  const before = reading.problems.errorCount();
  const fields =
    node.kind === 'scalar' && node.value !== null
      ? readBareUrl(reading, node)
      : decodeMap({ reading, node }, SERVER, { foreign: options.foreign, lacking });
  const sound = reading.problems.errorCount() === before;
  const said = decodeCredential(reading, fields, { sound, lacking, foreign: options.foreign });
  for (const url of fields.url?.value ?? []) addUrlSecrets(reading.secrets, url);
  if (fields.env !== undefined) addPairSecrets(reading.secrets, fields.env.value);
  if (fields.args !== undefined) addArgumentSecrets(reading.secrets, fields.args.value);
  const exposure = decodeExposure(reading, fields);
  const limits = decodeLimits(reading, fields);
  const empty = Object.keys(fields).length === 0;
  const { foreign } = options;
  return {
    name: from.name,
    at: from.at,
    reading,
    fields,
    said,
    exposure,
    limits,
    foreign,
    empty,
    broken: reading.problems.errorCount() > before,
  };
}

/** The server of a sound draft; undefined after a problem was reported. */
export function resolveServer(draft: ServerDraft, ground: Ground): ServerConfig | undefined {
  const { fields, reading } = draft;
  const { url, command } = fields;
  if (url !== undefined && command !== undefined) {
    reading.problems.error(draft.at, {
      text: `the server ${showName(draft.name)} has both "url" and "command"`,
      fix: 'delete one of the two',
      shown: shownName(draft.name),
    });
    return undefined;
  }
  const kind = url !== undefined ? 'http' : command !== undefined ? 'stdio' : ground.base?.kind;
  if (kind === undefined) {
    reading.problems.error(draft.at, {
      text: `the server ${showName(draft.name)} has neither "url" nor "command"`,
      fix: 'write one of the two',
      shown: shownName(draft.name),
    });
    return undefined;
  }
  const base = ground.base?.kind === kind ? ground.base : undefined;
  if (!judge(draft, kind, ground)) return undefined;
  return kind === 'http' ? resolveHttp(draft, { ...ground, base }) : resolveStdio(draft, { ...ground, base });
}

/** What a server of this kind cannot have; false after a problem was reported. */
function judge(draft: ServerDraft, kind: 'http' | 'stdio', ground: Ground): boolean {
  const { fields, said, reading } = draft;
  const refuse = (at: YamlNode | undefined, remark: { text: string; fix: string }): boolean => {
    if (at !== undefined) reading.problems.error(at, remark);
    return at === undefined;
  };
  // Where it comes from, what does not apply does no harm.
  const refuseOurs = (at: YamlNode | undefined, remark: { text: string; fix: string }): boolean => {
    if (!draft.foreign || at === undefined) return refuse(at, remark);
    reading.problems.warning(at, { text: `${remark.text}; it is ignored`, fix: remark.fix });
    return true;
  };
  const { transport } = fields;
  const wrongTransport =
    transport !== undefined && transport.value !== 'auto' && (transport.value === 'stdio') !== (kind === 'stdio');
  const allowed = [
    refuse(wrongTransport ? transport.at : undefined, {
      text: `this transport does not go with "${kind === 'stdio' ? 'command' : 'url'}"`,
      fix:
        kind === 'stdio'
          ? 'delete it, or write "url" in place of "command"'
          : 'delete it, or write "command" in place of "url"',
    }),
  ];
  if (kind === 'stdio') {
    const isNone = said.oauth === undefined && (said.credential?.type ?? 'none') === 'none';
    const credential = isNone ? undefined : said.at;
    const at = credential ?? fields.headers?.at ?? fields.ca_file?.at;
    allowed.push(
      refuseOurs(at, {
        text: 'a command is not reached over HTTP and takes no headers, credential or certificate',
        fix: 'write what it needs under "env"',
      }),
    );
  } else {
    const at = fields.args?.at ?? fields.env?.at ?? fields.cwd?.at;
    allowed.push(
      refuseOurs(at, {
        text: '"args", "env" and "cwd" are for commands; this server has a "url"',
        fix: 'delete them, or write "command"',
      }),
      refuse(fields.replicas?.at, {
        text: '"replicas" is for commands; this server has a "url"',
        fix: 'write the URLs of all replicas as a list under "url"',
      }),
    );
  }
  if (said.credential?.type === 'passthrough' && kind === 'http')
    allowed.push(judgePassthrough(draft, ground.personal));
  return allowed.every(Boolean);
}

function judgePassthrough(draft: ServerDraft, personal: boolean): boolean {
  const { problems } = draft.reading;
  if (personal) {
    problems.error(draft.said.at, {
      text: 'passthrough cannot be set for one user: what they send is their token for mcproxy',
      fix: 'set it for the server in mcproxy.yml, or write a "token" here',
    });
    return false;
  }
  problems.warning(draft.said.at, {
    text: `passthrough hands the client's own Authorization on to ${showName(draft.name)}; MCP forbids servers to accept such tokens`,
    fix: 'where you can, give each user a credential in tokens.yml and delete this',
  });
  return true;
}

function resolveHttp(draft: ServerDraft, ground: Ground): HttpServerConfig | undefined {
  const { fields, said } = draft;
  const base = ground.base?.kind === 'http' ? ground.base : undefined;
  const known = base === undefined ? [] : [base.url, ...base.otherUrls];
  const [url, ...otherUrls] = new Set(fields.url?.value ?? known);
  if (url === undefined) {
    draft.reading.problems.error(fields.url?.at, { text: '"url" is an empty list', fix: 'write at least one URL' });
    return undefined;
  }
  const origins = known.map((each) => new URL(each).origin);
  const trusted = [url, ...otherUrls].every((each) => origins.includes(new URL(each).origin)) ? base : undefined;
  const own =
    said.oauth === undefined
      ? said.credential
      : completeOAuthClient(draft.reading, said.oauth, sharedClient(trusted, fields));
  if (said.oauth !== undefined && own === undefined) return undefined;
  const credential = own ?? trusted?.credential ?? { type: 'none' };
  const ownFrom = ground.personal ? 'user' : 'shared';
  const from = own === undefined ? (trusted?.credentialFrom ?? 'none') : ownFrom;
  const exposure = resolveExposure(draft.exposure, { serverName: draft.name, base: base?.exposure });
  if (credential.type === 'passthrough' && changesItems(exposure)) {
    draft.reading.problems.error(placeOfChange(draft.exposure) ?? draft.at, {
      text: 'a passthrough server cannot have filters or changed tools: what it says is passed on byte for byte',
      fix: 'give it a credential in place of passthrough, or delete this',
    });
    return undefined;
  }
  const timeouts = resolveTimeouts(draft, ground);
  const { transport } = fields;
  const server: HttpServerConfig = {
    kind: 'http',
    ...resolveCommon(draft, ground),
    timeouts:
      fields['timeouts.first_byte'] === undefined && fields.timeout !== undefined
        ? { ...timeouts, firstByteMs: fields.timeout.value }
        : timeouts,
    exposure,
    ...serverLimits(draft.limits, ground),
    lacks: [...(trusted?.lacks ?? []).filter((what) => !brings(draft, what)), ...said.lacks],
    lock: resolveLock(draft, ground, credential.type === 'passthrough'),
    transport: transport === undefined || transport.value === 'stdio' ? (base?.transport ?? 'auto') : transport.value,
    url,
    otherUrls,
    credential,
    credentialFrom: credential.type === 'none' ? 'none' : from,
    credentialAt: own === undefined ? trusted?.credentialAt : placeOf(draft.reading.path, said.at),
    headers: mergePairs(trusted?.headers ?? [], said.headers, (name) => name.toLowerCase()),
    caFile: fields.ca_file?.value ?? base?.caFile,
  };
  return judgeReach(draft, server) ? server : undefined;
}

/** What an OAuth client of a user's may stand on. */
function sharedClient(
  base: HttpServerConfig | undefined,
  { ca_file: caFile }: ServerDraft['fields'],
): SharedClient | undefined {
  if (base?.credential.type !== 'oauth') return undefined;
  const otherCa = caFile === undefined || caFile.value === base.caFile ? undefined : caFile.at;
  return { client: base.credential.client, isBrought: base.lacks.includes(BROUGHT_REFRESH_TOKEN), otherCa };
}

/** What does not go together once everything is known; false after a problem was reported. */
function judgeReach({ fields, reading }: ServerDraft, server: HttpServerConfig): boolean {
  if (server.transport === 'sse' && server.era === 'modern') {
    reading.problems.error((fields.era ?? fields.transport)?.at, {
      text: 'HTTP+SSE belongs to the legacy era alone',
      fix: 'delete "era" or "transport"',
    });
    return false;
  }
  if (server.otherUrls.length > 0 && server.credential.type === 'passthrough') {
    reading.problems.error(fields.url?.at, {
      text: 'passthrough goes to one URL: who has several keeps each session at its own, which the relay cannot',
      fix: 'write one "url", or another kind of "auth"',
    });
    return false;
  }
  if (server.otherUrls.length >= REPLICA_COUNT_MAX) {
    reading.problems.error(fields.url?.at, {
      text: `there are more than ${REPLICA_COUNT_MAX} URLs`,
      fix: 'put a load balancer before some of them',
    });
    return false;
  }
  return true;
}

/** What servers of both kinds have. */
function resolveCommon(
  draft: ServerDraft,
  ground: Ground,
): Pick<ServerConfig, 'name' | 'enabled' | 'timeouts' | 'retries' | 'era' | 'share' | 'idleMs'> {
  const { fields } = draft;
  const { base, defaults } = ground;
  return {
    name: draft.name,
    enabled: isEnabled(draft, base),
    timeouts: resolveTimeouts(draft, ground),
    retries: fields.retries?.value ?? base?.retries ?? defaults.retries ?? RETRY_COUNT_DEFAULT,
    era: fields.era?.value ?? base?.era ?? 'auto',
    share: fields.share?.value ?? base?.share ?? 'auto',
    idleMs: fields.idle?.value ?? base?.idleMs,
  };
}

function resolveStdio(draft: ServerDraft, ground: Ground): StdioServerConfig | undefined {
  const { fields, reading } = draft;
  const base = ground.base?.kind === 'stdio' ? ground.base : undefined;
  const command = fields.command === undefined ? base?.command : resolveCommand(reading, fields.command.value);
  if (command === undefined) return undefined;
  if (command.trim() === '') {
    reading.problems.error(fields.command?.at, { text: '"command" is empty', fix: 'write the program to run' });
    return undefined;
  }
  if (/\s/.test(command) && fields.command !== undefined && fields.args === undefined) {
    reading.problems.warning(fields.command.at, {
      text: '"command" has blanks and no "args": it is taken as the name of one program, blanks included',
      fix: 'write the arguments as a list under "args"',
    });
  }
  return {
    kind: 'stdio',
    exposure: resolveExposure(draft.exposure, { serverName: draft.name, base: base?.exposure }),
    ...serverLimits(draft.limits, ground),
    ...resolveCommon(draft, ground),
    lacks: [
      ...(base?.lacks ?? []).filter((what) => !brings(draft, what)),
      // A user's own without a value was a problem already.
      ...namesWithoutValue(fields.env).map((name) => `env.${name}`),
    ],
    lock: resolveLock(draft, ground, false),
    transport: 'stdio',
    command,
    args: fields.args?.value ?? base?.args ?? [],
    env: mergePairs(base?.env ?? [], fields.env?.value ?? [], (name) => name),
    cwd: fields.cwd?.value ?? base?.cwd,
    startMs: fields.timeout?.value ?? base?.startMs ?? START_MS_DEFAULT,
    roots: fields.roots?.value ?? base?.roots ?? false,
    replicas: fields.replicas?.value ?? base?.replicas ?? 1,
  };
}

function readBareUrl(reading: Reading, node: YamlNode): Decoded<typeof SERVER> {
  const text = readText(reading, node, 'variables');
  const value = text === undefined ? undefined : READERS.url.read(text);
  if (value !== undefined) return { url: { value: [value], at: node } };
  if (text !== undefined)
    reading.problems.error(node, {
      text: 'a server is described by a map, or by its URL alone',
      fix: 'write "url" or "command" under its name',
    });
  return {};
}

function resolveTimeouts(draft: ServerDraft, ground: Ground): Timeouts {
  const { fields } = draft;
  const { base, defaults } = ground;
  return {
    connectMs:
      fields['timeouts.connect']?.value ??
      base?.timeouts.connectMs ??
      defaults['timeouts.connect'] ??
      CONNECT_MS_DEFAULT,
    firstByteMs:
      fields['timeouts.first_byte']?.value ??
      base?.timeouts.firstByteMs ??
      defaults['timeouts.first_byte'] ??
      FIRST_BYTE_MS_DEFAULT,
    idleMs: fields['timeouts.idle']?.value ?? base?.timeouts.idleMs ?? defaults['timeouts.idle'] ?? IDLE_MS_DEFAULT,
  };
}

function isEnabled(draft: ServerDraft, base: ServerConfig | undefined): boolean {
  const { enabled, disabled } = draft.fields;
  if (enabled === undefined && disabled === undefined) return base?.enabled ?? true;
  return enabled?.value !== false && disabled?.value !== true;
}

/** A command that is a relative path is relative to its file; a bare name is looked up in PATH by the system. */
function resolveCommand(reading: Reading, command: string): string {
  return /^\.\.?\//.test(command) ? reading.resolvePath(command) : command;
}

function mergePairs(base: readonly Pair[], over: readonly Pair[], fold: (name: string) => string): readonly Pair[] {
  if (over.length === 0) return base;
  const replaced = new Set(over.map(([name]) => fold(name)));
  return [...base.filter(([name]) => !replaced.has(fold(name))), ...over];
}
