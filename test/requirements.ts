/**
 * What mcproxy promises, one id each: every acceptance criterion and every rule of a specification that we claim.
 *
 * `verifies('area.point', …)` ties a test to an id; an unknown id throws when the test is registered, and the house
 * test fails while an id has no test. `source` says where the promise comes from, `text` what it is. An id is never
 * used again for another promise.
 */

import { ACCESS_CASES } from './access-cases.ts';
import { PROTOCOL_CASES } from './protocol-cases.ts';
import { SAFEKEEPING } from './requirements-secrets.ts';

import { INSTANCES, PACKAGE, SERVICE, SHUTDOWN } from './requirements-package.ts';
import { TRUST } from './requirements-trust.ts';

export interface Requirement {
  readonly source: string;
  readonly text: string;
}

/** The repository. */
const REPOSITORY = {
  'repository.first-run':
    'Started without any file it listens on loopback, serves a demo server and prints URL, token, a curl line and a client configuration.',
  'repository.build':
    '`npm run build` leaves one file that plain Node runs without a warning and that prints the version of package.json.',
  'repository.build-reproducible': 'The same tree gives the same bytes.',
  'repository.version': '`mcproxy version` prints version and commit, from source and from the bundle.',
  'repository.no-dependencies': 'package.json has no runtime dependency and pins every development dependency.',
  'repository.lock-portable': 'The lock file belongs to package.json and names no registry host.',
  'repository.changelog': 'The newest version in the changelog is that of package.json.',
  'repository.readme-tables': 'The generated tables of the README are those of the code.',
  'repository.requirements': 'Every requirement has a test and every tested requirement is known.',
  'repository.house-floors': 'Imports go to a lower floor or stay in their room, without circles.',
  'repository.house-purity': 'Clocks, randomness, environment, timers and packages are only where the map allows them.',
  'repository.house-shape': 'Files have headers and names, and files and functions stay within their bounds.',
  'repository.house-bounds': 'Every collection that grows names its bound.',
} as const;

/** The operator's files. */
const FILES = {
  'files.yaml-same-or-error':
    'A text of the YAML subset means what YAML 1.2 says, or is an error; never another value.',
  'files.all-problems-at-once': 'All problems of all files are reported together.',
  'files.problem-position': 'A problem has file, line, column, a caret under the place and what to write instead.',
  'files.no-secrets-in-messages': 'No message about a file contains a secret from it.',
  'files.unknown-key-suggests': 'An unknown key is a problem that names the nearest known key.',
  'files.spellings': 'The configuration files of other programs are understood as they are.',
  'files.variables': '`${VAR}` and `${VAR:-default}` are replaced; a missing variable is a problem with its position.',
} as const;

/** Who may come in. */
const IDENTITY = {
  'identity.digest-lookup': 'A token is found by its SHA-256 digest; no comparison depends on its text.',
  'identity.missing-401': 'A request without a token is 401 with WWW-Authenticate and a JSON body.',
  'identity.malformed-401': 'A malformed Authorization header is 401 with WWW-Authenticate and a JSON body.',
  'identity.unknown-401': 'An unknown token is 401 with WWW-Authenticate and the same JSON body as a malformed one.',
  'identity.no-users': 'Without any user everybody is 401 and is told how to add one.',
  'identity.anonymous': 'With `auth: none` everybody is the principal `anonymous`.',
  'identity.refused-not-forwarded': 'Nothing of a refused request reaches an upstream.',
  'identity.refused-one-entry': 'A refused request is one entry in the log.',
  'identity.token-add': '`token add` prints the token once and stores its digest.',
  'identity.token-list': '`token list` shows who has tokens and never a token.',
  'identity.token-revoke': '`token revoke` removes the token it names and no other.',
  'identity.token-rotate': '`token rotate` replaces the token it names.',
  'identity.token-edit-in-place': 'Token commands keep comments, order, mode and owner of tokens.yml.',
} as const;

/** Paths. */
const ROUTES = {
  'routes.streamable': '/{server}/mcp serves POST, GET and DELETE.',
  'routes.sse': '/{server}/sse and /{server}/messages serve HTTP+SSE; the endpoint event points back at mcproxy.',
  'routes.sse-foreign-origin': 'An endpoint event that points at a foreign origin is refused.',
  'routes.unknown-equals-forbidden': 'An unknown server and a forbidden one are 404 with the same body.',
  'routes.path-prefix': 'A path prefix stands before every path.',
} as const;

/** What goes out. */
const CREDENTIALS = {
  'credentials.none': '`none` sends no credential.',
  'credentials.bearer': '`bearer` sends Authorization: Bearer.',
  'credentials.basic': '`basic` sends Authorization: Basic.',
  'credentials.headers': '`headers` sends the headers as configured.',
  'credentials.passthrough': '`passthrough` sends the Authorization of the client untouched.',
  'credentials.user-before-shared': 'The credential of the user goes before the shared one.',
  'credentials.no-client-credential-leaks':
    'The token of the client never reaches an upstream, except with passthrough.',
  'credentials.no-cookie-leaks': 'No Cookie goes up and no Set-Cookie comes down.',
  'credentials.no-hop-by-hop-leaks':
    'Hop-by-hop headers, also those that Connection names, stop here in both directions.',
  'credentials.no-forwarding-header-leaks': 'Forwarded and X-Forwarded-* of the client do not reach an upstream.',
  'credentials.refused-credential-502': 'A 401 to a credential of ours is 502 with the names of server and user.',
} as const;

/** Bytes. */
const STREAMING = {
  'streaming.large-up': 'A request of 64 MB goes up with less than 16 MB of additional memory.',
  'streaming.large-down': 'An answer of 64 MB comes down with less than 16 MB of additional memory.',
  'streaming.events-at-once': 'An SSE event is passed on as soon as it arrives.',
  'streaming.client-gone': 'A client that leaves closes the exchange with the upstream.',
  'streaming.heartbeat': 'A silent event stream gets comments between its events, and nowhere else.',
  'streaming.early-answer': 'An answer that comes before the request is complete arrives whole.',
  'streaming.connections': 'Connections on both sides are used again, also after empty answers and refusals.',
  'streaming.upstream-gone': 'An upstream that leaves closes the answer to the client, visibly cut.',
  'streaming.observer-is-passive': 'Reading along never changes a byte.',
  'streaming.modern-headers':
    'The mirrored headers of the modern era are used for the log, except where the body contradicts them.',
} as const;

/** Retries and time. */
const RETRIES = {
  'retries.default-three': 'By default there are up to three attempts after the first.',
  'retries.only-safe': 'Only what may be repeated safely is repeated.',
  'retries.deadline': 'No attempt begins after the deadline, and Retry-After is honoured within it.',
  'retries.timeout-connect': 'The connect timeout ends an attempt that does not connect.',
  'retries.timeout-first-byte': 'The first-byte timeout ends a request that is not answered.',
  'retries.timeout-idle': 'The idle timeout ends an answer that falls silent.',
  'retries.attempts-logged': 'The number of attempts is in the log.',
  'retries.protocol': 'What is no HTTP answer, or leads elsewhere, is 502 at once and followed nowhere.',
  'retries.unreachable': 'An unreachable upstream is 502, one that does not answer in time 504.',
} as const;

/** The access log. */
const LOG = {
  'log.one-entry-per-exchange': 'Every exchange is exactly one entry.',
  'log.field-order': 'Every entry has all fields in the fixed order, null when unknown.',
  'log.append': 'A restart appends.',
  'log.rotation-rename': 'After a rotation by rename entries go to the new file and none is lost.',
  'log.rotation-copytruncate': 'After a rotation by copytruncate entries go on at the start of the file.',
  'log.file-removed': 'After the file is removed it is made again.',
  'log.sighup-reopen': 'SIGHUP opens the log again.',
  'log.params-none': 'With `params: none` no content of a call is logged.',
  'log.params-keys': 'With `params: keys` names without values are logged.',
  'log.params-full': 'With `params: full` content is logged, bounded and redacted.',
  'log.redaction': 'No configured secret and no token is in any output.',
  'log.many-writers': 'Ten clients with a thousand requests each give ten thousand whole entries.',
  'log.kill-nine': 'After kill -9 every answered request is in the file, in whole lines.',
  'log.clock-step': 'A step of the wall clock leaves order and latency as they are, and is told.',
  'log.unwritable-at-start': 'A log that cannot be opened at start is exit 73 with path and reason.',
  'log.unwritable-while-running': 'When the log cannot be written, entries go to standard error and /readyz is 503.',
} as const;

/** Reload. */
const RELOAD = {
  'reload.rename-over': 'A file replaced by rename is noticed within a second.',
  'reload.in-place': 'A file written in place is noticed within a second.',
  'reload.symlink-swap': 'A swapped symbolic link is noticed within a second.',
  'reload.sighup': 'SIGHUP reloads.',
  'reload.admin-socket': '`mcproxy reload` reloads, waits and prints what changed.',
  'reload.dry-run': '`mcproxy reload --dry-run` prints what would change and changes nothing.',
  'reload.broken-keeps-old': 'A broken file keeps the old configuration and says so.',
  'reload.emptied': 'A file that had content and is empty keeps the old configuration and says so.',
  'reload.readyz': '/readyz says when the files are broken.',
  'reload.revoked-token': 'A revoked token is refused after the reload.',
  'reload.revoked-streams-closed': 'Open streams of a revoked token are closed.',
  'reload.others-untouched': 'Exchanges of everybody else go on, with the configuration they began with.',
} as const;

/** The door. */
const GUARD = {
  'guard.origin': 'An Origin that is not allowed is 403.',
  'guard.host': 'A Host that is not allowed is 403.',
  'guard.method': 'A method that is not served is 405 with Allow.',
  'guard.accept': 'An Accept that cannot be satisfied is 406.',
  'guard.content-type': 'A body that is not JSON by its type is 415.',
  'guard.header-bounds': 'Too many or too long headers are 431.',
  'guard.body-bound': 'A body over its bound is 413.',
  'guard.slow-client': 'A client that sends too slowly is cut off.',
  'guard.conflicting-headers': 'Repeated or contradicting headers are 400.',
  'guard.path-normalisation': 'A path means one thing; spellings that could mean another are refused.',
  'guard.request-ids': 'A sane X-Request-Id is kept, any other replaced; it goes up, comes down and is logged.',
  'guard.health': '/healthz, /readyz and /health answer without a token.',
  'guard.well-known': 'The well-known paths are always answered here.',
  'guard.not-http': 'What is no HTTP request is refused, and is one entry for each connection.',
  'guard.loop': 'A request that comes back to the mcproxy that sent it is refused.',
} as const;

/** Many servers behind one endpoint. */
const GATEWAY = {
  'gateway.matrix.connect':
    'Every kind of client initialises or discovers through one endpoint, at every kind of server.',
  'gateway.matrix.list': 'Every kind of client lists the tools through one endpoint, at every kind of server.',
  'gateway.matrix.call': 'Every kind of client calls a tool through one endpoint, at every kind of server.',
  'gateway.matrix.progress':
    'Every kind of client sees the progress of a call through one endpoint, at every kind of server.',
  'gateway.matrix.cancel': 'Every kind of client cancels a call through one endpoint, at every kind of server.',
  'gateway.matrix.read': 'Every kind of client reads a resource through one endpoint, at every kind of server.',
  'gateway.matrix.subscribe':
    'Every kind of client hears of an update of a resource through one endpoint, at every kind of server.',
  'gateway.matrix.prompt': 'Every kind of client gets a prompt through one endpoint, at every kind of server.',
  'gateway.matrix.completion': 'Every kind of client gets completions through one endpoint, at every kind of server.',
  'gateway.matrix.elicitation':
    'Every kind of client is asked for input through one endpoint, at every kind of server.',
  'gateway.matrix.sampling': 'Every kind of client is asked to sample through one endpoint, at every kind of server.',
  'gateway.matrix.roots': 'Every kind of client is asked for its roots through one endpoint, at every kind of server.',
  'gateway.matrix.changes':
    'Every kind of client hears that a list changed through one endpoint, at every kind of server.',
  'gateway.names.unique': 'Exposed names fit, are unique and lead back, whatever prefixes and tools there are.',
  'gateway.names.no-prefix': 'Without prefix names are as the server has them, and take no name of another prefix.',
  'gateway.names.shared-prefix':
    'Of servers that share a prefix the first keeps a name, later ones get a suffix, and nothing is hidden.',
  'gateway.names.conflicts': 'A name that had to give way is told once in the diagnostic log, and in status.',
  'gateway.exposure.filter': 'What allow and deny hide is in no list and answers like what does not exist.',
  'gateway.exposure.transform': 'Tools are renamed and described as configured, and all else of them stays as it is.',
  'gateway.exposure.arguments': 'Forced and default arguments reach the server and are not in the schema.',
  'gateway.exposure.headers': 'Mirrored headers go by what the client sees here and by what the server gets there.',
  'gateway.exposure.resources':
    'A hidden resource is neither listed nor read, subscribed to or told of, however it is spelt.',
  'gateway.exposure.log': 'The log names a renamed or hidden tool as its server does.',
  'gateway.exposure.reload': 'What clients see of a server changes without a restart of it, and clients are told.',
  'files.exposure': 'Rules for what clients see that are wrong or contradict each other are problems with their place.',
  'gateway.isolation.calls': 'Calls of different users never see anything of each other, whatever ids they have.',
  'gateway.isolation.lists': 'A user sees and calls only what is theirs.',
  'gateway.isolation.roots':
    'The roots of a client widen what a command may use only where the operator says so, or on a pipe.',
  'gateway.isolation.sessions': 'A session id of another user is 404, like one that never was.',
  'gateway.isolation.cancel': "A cancellation reaches the user's own call only.",
  'gateway.tasks.listen':
    'States of tasks are told to the client that listens to them, under the ids that it knows, and to no other.',
  'gateway.tasks.listen-again':
    'A server that ends a subscription to tasks is listened to again, and the state is asked for.',
  'gateway.tasks.ids': 'Ids of tasks are good after a restart, for their user only.',
  'gateway.tasks.questions': 'Questions of a task name their server, and are not shown to who did not declare them.',
  'gateway.tasks.driven':
    'A call that becomes a task is held open for an older client: questions, progress, result, cancellation.',
  'gateway.tasks.old-servers': 'A tool of 2025-11-25 that only runs as a task is called like any other.',
  'gateway.tasks.not-told': 'An older client is never told of tasks, and cannot ask about them.',
  'gateway.front.case-52':
    '`initialize` of a known older revision is answered with it, any other with the newest older one; the session id is visible ASCII.',
  'gateway.front.case-53': '`notifications/initialized` is 202 without a body.',
  'gateway.front.case-54':
    'A request without a session id is served when it needs no session, else 400; an id that is unknown, ended or another user’s is 404.',
  'gateway.front.case-55': 'An unknown method in a session is HTTP 200 with -32601.',
  'gateway.front.case-56': 'An unknown revision in the header is 400, none is served.',
  'gateway.front.case-57':
    'A batch of 2025-03-26 is answered whole; later revisions have none, and `initialize` is never part of one.',
  'gateway.front.case-58': 'Several streams of one session never carry the same message twice.',
  'gateway.front.case-59':
    'A dropped stream of a request goes on: its later events are replayed to the client that comes back, and no others.',
  'gateway.front.case-60': 'A stream of 2025-11-25 begins with an id and no data, and says when to come back.',
  'gateway.front.case-61': 'An event id of another session or user, or of none, replays nothing.',
  'gateway.front.case-62': 'After DELETE the session id is 404, and the servers notice nothing.',
  'gateway.front.case-63': '`ping` is answered without asking a server.',
  'gateway.front.case-64':
    'A dropped connection cancels nothing; `notifications/cancelled` does, gets no response and is logged as cancelled.',
  'gateway.front.case-65': 'The log level of one session is not that of another.',
  'gateway.front.case-66': 'A resource stays subscribed to while any session is.',
  'gateway.front.case-67': 'HTTP+SSE begins with an endpoint of the same origin, whose answers come on the stream.',
  'gateway.front.case-68': 'A POST to an HTTP+SSE endpoint that is dead or another user’s is refused.',
  'gateway.front.case-69': 'A POST to the HTTP+SSE stream URL is refused without an error of 2026-07-28.',
  'gateway.front.replay-bounds': 'What is kept for clients that come back is bounded in events, bytes and time.',
  'gateway.front.replay-questions': 'A question on a dropped stream waits for the client to come back.',
  'gateway.front.replay-general': 'A general stream that is taken up again brings the changes that were missed.',
  'gateway.front.replay-log': 'Each exchange that carried a part of an answer has one entry of its own.',
  'gateway.front.replay-official': 'The official clients take a broken stream up again and get the answer.',
  'gateway.front.json-only': 'A client that takes only JSON gets JSON.',
  'gateway.front.fair-share': 'A user who opens or ends many sessions pushes out only their own.',
  'gateway.front.body-room': 'Large messages of one user leave room for those of others.',
  'gateway.front.endpoint-handle': 'The endpoint handle of HTTP+SSE is bound to user, server, origin and time.',
  'gateway.servers.hot-reload':
    'A server that was added, removed, changed, disabled or enabled is so within two seconds; others keep their process.',
  'gateway.servers.removed-grace': 'Calls in progress on a removed server finish within the grace.',
  'gateway.servers.bad-neighbours': 'Servers that crash or never answer neither delay nor hide the others.',
  'gateway.servers.down-since': 'A call to a server that is down says since when, and not that the tool is unknown.',
  'gateway.servers.stop': 'A stop leaves no child.',
  'gateway.servers.kill-nine': 'After kill -9 no child that reads its input is left.',
  'gateway.servers.restart-session': 'With a state directory a restart continues sessions.',
  'gateway.servers.path':
    'Commands, and servers of another transport than the path, are translated; all else is relayed.',
  'gateway.servers.own-credential':
    'Where each user brings their own credential, who has none gets an error that names user and server; nobody else’s is used.',
  'gateway.servers.own-credential-check': 'check names the users who lack what each of them brings.',
  'gateway.servers.era': 'era: legacy and era: modern are believed, and the server is not asked.',
  'gateway.servers.share': 'share and idle say who has a process together and when it stops.',
  'gateway.servers.ca-reload': 'A reload reads the file of a certificate authority again.',
  'gateway.bridge.modern-to-legacy': 'A client of 2026-07-28 alone reaches a legacy server at /{server}/mcp.',
  'gateway.bridge.legacy-to-modern': 'A client of the older revisions reaches a server of 2026-07-28 at /{server}/mcp.',
  'gateway.bridge.transport':
    'HTTP+SSE clients reach Streamable HTTP servers at /{server}/sse, and the other way round.',
  'gateway.bridge.verdict':
    'What a server speaks is asked once, for all users; outages and refused credentials leave no verdict.',
  'gateway.replicas.spread': 'Calls are spread over the replicas of a server, to the one with the fewest.',
  'gateway.replicas.move': 'A call that provably did not run moves to another replica, any other does not.',
  'gateway.replicas.health': 'A replica that fails is given a rest, is asked, and returns; the last one never rests.',
  'gateway.replicas.stay': 'Questions and subscriptions stay with their replica.',
  'gateway.replicas.lists': 'Lists come from one replica until it fails, and changes are told once.',
  'gateway.servers.state-key': 'The key of sessions is kept where only its owner can read it, else it is not used.',
  'gateway.soak': 'Sessions, streams, calls, crashes and reloads leave no descriptor, child, handle or call behind.',
  'gateway.real-servers':
    'Published servers behind one endpoint list every tool once, as they gave it, and answer calls, whatever others do.',
} as const;

/** mcproxy as a command that a client launches. */
const STDIO = {
  'stdio.output': 'Standard output carries JSON-RPC lines and nothing else, whatever servers print (protocol 70).',
  'stdio.garbage': 'What is no message is answered with an error that guesses no id.',
  'stdio.eras': 'Each message says by itself which era it is of; both are served on one pipe (protocol 2.3).',
  'stdio.batch': 'A batch is taken in a conversation of 2025-03-26 alone, and answered as one.',
  'stdio.cancel': 'A cancelled request reaches the server as cancelled, gets no response and is logged as cancelled.',
  'stdio.listen':
    'Several subscriptions share a pipe; ending one leaves the other; a stop ends each in order (protocol 41).',
  'stdio.asks': 'An older client is asked on the pipe what a server wants to know.',
  'stdio.tells': 'Progress, log messages and changes reach the client as its era has them.',
  'stdio.log': 'Each request is one entry, in the file before its response is written.',
  'stdio.bounds': 'Requests in progress and unread answers are bounded; a client that does not read costs no more.',
  'stdio.long-line': 'A line that is too long ends the conversation with a line on standard error.',
  'stdio.principal': 'The client is `local` or the user that is named; a name that is unknown is an error.',
  'stdio.one-server': 'One server can be served alone, with its own names.',
  'stdio.reload': 'A saved file is applied while the client goes on; a broken one changes nothing.',
  'stdio.no-door': 'No port and no socket is opened.',
  'stdio.end': 'The end of standard input, a signal or a closed standard output ends it in order (protocol 71).',
  'stdio.no-orphans': 'No server is left behind, also when the command is killed.',
  'stdio.remote': 'The bridge speaks with any remote server, whatever its transport and era.',
  'stdio.remote-recovers': 'The bridge goes on by itself when the remote server was started anew.',
  'stdio.remote-down': 'A remote server that cannot be reached is an error response, not a crash.',
  'stdio.remote-secret': 'The token of the bridge goes to the server and is shown nowhere.',
} as const;

/** mcproxy check. */
const CHECK = {
  'check.exit-codes': 'Good files are exit 0, problems exit 78.',
  'check.warn-plain-text': 'A token in plain text is a warning.',
  'check.warn-passthrough': 'Passthrough is a warning.',
  'check.world-readable': 'A tokens.yml that everybody can read is refused with the command that corrects it.',
  'check.connect-commands': '`check --connect` starts each command, lists its tools and leaves no process behind.',
  'check.connect': '`check --connect` names the upstreams that cannot be reached.',
} as const;

/** Real peers. */
const CONTRACT = {
  'contract.sdk1-streamable': 'The official SDK 1 client works over Streamable HTTP.',
  'contract.sdk1-sse': 'The official SDK 1 client works over HTTP+SSE.',
  'contract.client2-auto': 'The official client 2 works with automatic negotiation.',
  'contract.client2-modern': 'The official client 2 works in the modern era.',
  'contract.inspector-streamable': 'The inspector works over Streamable HTTP.',
  'contract.inspector-sse': 'The inspector works over HTTP+SSE.',
  'contract.notion-bearer': 'A published server that wants a bearer credential works.',
  'contract.conformance-2025-11-25': 'No check of the conformance suite for 2025-11-25 differs through mcproxy.',
  'contract.conformance-2026-07-28': 'No check of the conformance suite for 2026-07-28 differs through mcproxy.',
  'gateway.conformance.stdio-2025-11-25':
    'A server over stdio behind the gateway passes what it passes by itself, 2025-11-25.',
  'gateway.conformance.stdio-2026-07-28':
    'A server over stdio behind the gateway passes what it passes by itself, 2026-07-28.',
  'gateway.conformance.http-2025-11-25':
    'A server over HTTP behind the gateway passes what it passes by itself, 2025-11-25.',
  'gateway.conformance.tasks':
    'A server with tasks behind the gateway passes the scenarios for tasks that it passes by itself.',
  'gateway.conformance.http-2026-07-28':
    'A server over HTTP behind the gateway passes what it passes by itself, 2026-07-28.',
} as const;

/** The command line. */
const COMMANDS = {
  'cli.tools':
    '`tools` shows the names that clients see, required arguments, the cost, and who is missing since when and why.',
  'cli.call': '`call` prints what the tool answers; its exit code tells a failed tool from a refusal and a wrong use.',
  'cli.call-cancel': 'Ctrl-C and the time limit of `call` cancel at the server.',
  'cli.without-service': 'Without the service a command starts the servers itself and leaves no process behind.',
  'cli.service-entry': 'A request of the command line through the service is one entry with the route `admin`.',
  'cli.status':
    '`status` has a row for each server with its state, since when, its tools, restarts, memory and last error.',
  'cli.status-action': 'A row of `status` that does not work names the command or the edit that puts it right.',
  'cli.status-http': '/status is for users with `role: admin` and shows no secret and no URL of a server.',
  'cli.call-arguments': 'Arguments of a tool are JSON, a file, standard input, or pairs of text and JSON.',
  'cli.call-asks': 'A form that a tool asks for is asked at the terminal, field by field, with checked values.',
  'cli.server-edit':
    '`add` and `remove` change one entry of mcproxy.yml, or nothing when the result would not be valid.',
  'cli.import-inputs': 'What VS Code asks its user for becomes a variable of the environment.',
  'cli.service-stop': 'A service that stops ends the requests of commands with an error and an entry.',
} as const;

function from<Id extends string>(source: string, texts: Readonly<Record<Id, string>>): Record<Id, Requirement> {
  const entries = Object.entries<string>(texts).map(([id, text]) => [id, { source, text }] as const);
  return Object.fromEntries(entries) as Record<Id, Requirement>;
}

export const REQUIREMENTS = {
  ...from('src/README.md', REPOSITORY),
  ...from('README.md, configuration', FILES),
  ...from('RFC 6750 §3; RFC 9110 §11.6.1', IDENTITY),
  ...from('README.md, access and limits; RFC 6585 §4', ACCESS_CASES),
  ...from('MCP 2025-11-25 transports; MCP 2024-11-05 transports', ROUTES),
  ...from('RFC 9110 §7.6.1; MCP 2025-11-25 authorization#token-passthrough', CREDENTIALS),
  ...from('MCP 2026-07-28 transports; RFC 9112 §8', STREAMING),
  ...from('RFC 9110 §9.2.2, §10.2.3', RETRIES),
  ...from('README.md, security, tool lock and chain', SAFEKEEPING),
  ...from('README.md, operating', { ...LOG, ...RELOAD, ...INSTANCES, ...SHUTDOWN }),
  ...from('MCP 2025-11-25 transports#security-warning; RFC 9110 §15.5; RFC 9112 §11.2', GUARD),
  ...from('src/README.md; MCP 2025-11-25 transports', GATEWAY),
  ...from('MCP 2024-11-05 … 2026-07-28, all pages; see the comments of the tests', PROTOCOL_CASES),
  ...from('README.md; MCP 2026-07-28 basic/transports/stdio; MCP 2025-11-25 lifecycle', STDIO),
  ...from('RFC 2104; RFC 9421; README.md, configuration; RFC 9068 §4; RFC 9728; RFC 7662; RFC 6749; RFC 8707', TRUST),
  ...from('README.md, operating', CHECK),
  ...from('README.md, commands', COMMANDS),
  ...from("MCP conformance suite; the peers' own documentation", CONTRACT),
  ...from('packaging/README.md; sd_notify(3), sd_listen_fds(3)', SERVICE),
  ...from('packaging/README.md', PACKAGE),
};

export type RequirementId = keyof typeof REQUIREMENTS;
