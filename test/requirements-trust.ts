/**
 * What mcproxy promises about trust: who may do what, and how it proves itself to servers; a part of the table of
 * `requirements.ts`, whose rules hold here.
 *
 * Apart only because one file would be too long.
 */

/** Signed requests. */
const SIGNING = {
  'signing.accepted': 'A validator of each scheme accepts the requests of the relay and of the gateway.',
  'signing.attempts': 'Each attempt is signed anew.',
  'signing.long-body': 'A body too long to be held is refused where the signature covers it, and streams elsewhere.',
  'signing.environment': 'MCP_UPSTREAM_URL, MCP_API_KEY and MCP_API_SECRET start a local signing proxy without a file.',
} as const;

/** mcproxy as its own authorization server. */
const FACADE = {
  'facade.config': 'The switch has all it needs and contradicts nothing, or it is a problem that says what to write.',
  'facade.metadata': 'Challenge, protected resource and authorization server metadata lead a client to every endpoint.',
  'facade.login': 'Who pastes a token of the files lets a client in with the rights of its user.',
  'facade.old-clients': 'Clients of 2025-03-26 without metadata find the endpoints at the root.',
  'facade.public-clients': 'Every client is a public one; a registration is kept by the client alone.',
  'facade.cimd':
    'A client is known by the document at its URL, which is asked for safely, briefly remembered and bounded.',
  'facade.redirects': 'A browser returns to a registered redirect URI alone; of a loopback one the port may differ.',
  'facade.pkce':
    'A code is worth nothing without the S256 verifier, the client and the redirect URI that it was asked with.',
  'facade.refresh': 'Refresh tokens rotate; the one before is good for a moment more.',
  'facade.reuse': 'A code or refresh token that is used again ends the login.',
  'facade.families': 'The table of logins is bounded, and forgets none that was ended before one that was not.',
  'facade.revoke': 'A client can end its login, and no other client can.',
  'facade.ends-with-token': 'The end of the pasted token, by removal or by its terms, ends logins and streams at once.',
  'facade.expiry': 'Requests, codes and tokens end when they say.',
  'facade.audience': 'A login is for the resource that was asked for, and can be narrowed but not widened.',
  'facade.passthrough': 'A passthrough server gets no token of a login, and none is offered there.',
  'facade.browser': 'Clients in a browser may call what programs call; the page with the form is ours alone.',
  'facade.deny': 'A refusal is told to the client, with state and issuer.',
  'facade.page': 'The pages run nothing, are framed by nobody and escape what others wrote.',
  'facade.no-redirect': 'Nothing sends a browser anywhere before a person has decided.',
  'facade.lock-out':
    'A wrong token on the page counts as a failed login and tells nothing; a right one always gets in.',
  'facade.hostile': 'What is malformed, repeated, altered, too long or of another client is refused, with one entry.',
  'facade.secrets': 'No token, code or verifier of a login is in any output.',
  'facade.restart': 'A restart in the middle of a login, or after it, changes nothing, and what was used stays used.',
  'facade.instances': 'Instances with one cluster.key continue the logins of each other.',
  'facade.sdk': 'The official clients log in by themselves, by registration and by document.',
  'facade.conformance': 'The authorization server scenarios of the conformance suite pass.',
  'facade.commands': 'check, status and client-config tell what to connect hosted clients with.',
} as const;

/** Access tokens of an authorization server, and mcproxy as one. */
const OAUTH = {
  ...FACADE,
  'oauth.config': 'What the settings say about access tokens is complete, or each gap is a problem.',
  'oauth.jwt': 'A JWT of the issuer lets its user in, with the rights of the user of that name.',
  'oauth.both-kinds': 'Tokens of the files and access tokens are in use at once; the first ask nobody.',
  'oauth.jwt-cached': 'A verified token is not verified again, and questions at once are one question.',
  'oauth.unlisted': 'Who is in no file has the servers that the settings name, or is refused.',
  'oauth.invalid-401': 'A token that is not valid is 401 with one body and a place to log in; the log says why.',
  'oauth.insufficient-scope': 'A token without a scope is 403 insufficient_scope and names the scope.',
  'guard.cors': 'Pages of allowed origins may read answers, all pages the metadata of a resource, and no page else.',
  'oauth.claims': 'Roles and servers that a claim names add up with `auth.servers`, however the issuer writes them.',
  'oauth.claims-closed': 'A claim gives nothing that the configuration does not name: no pattern, no `*`, no `admin`.',
  'why.access-tokens': 'why explains who comes in by an access token, by what is remembered of it or said.',
  'oauth.claims-streams': 'What a claim gave ends with the role or server, also for what is open and remembered.',
  'oauth.introspection': 'An opaque token is asked about at its authorization server, briefly remembered.',
  'oauth.passthrough': 'A token for a passthrough server is shown to nobody else, and none of ours to it.',
  'oauth.metadata': 'Each mounted path has RFC 9728 metadata, and a challenge that leads there.',
  'oauth.no-login': 'Without an authorization server no challenge names one.',
  'oauth.key-rotation': 'A new key is good with its first token; invented ones cannot make us ask without end.',
  'oauth.issuer-down': 'Old keys serve while the issuer is down, for a bounded time; without any it is 503.',
  'oauth.issuer-slow':
    'Nobody waits long for an issuer that does not answer, and not everybody; known tokens not at all.',
  'oauth.discovery': 'Keys are found by the metadata of the issuer, which has to name itself.',
  'oauth.no-private': 'An issuer in a private network is not asked unless that is allowed.',
  'oauth.ca': 'The CA of an issuer may be named, and a file that is none is a problem at the start.',
  'oauth.expiry-ends-streams': 'A stream ends within a minute after its token has expired.',
  'oauth.reload': 'A reload keeps what was verified, and drops it when something else is believed.',
  'oauth.sdk': 'The official client finds the authorization server by itself and gets in.',
} as const;

/** Access tokens for servers. */
const OAUTH_OUT = {
  'oauth-out.config':
    'What the settings say about an OAuth client is enough to ask for tokens, or each gap is a problem.',
  'oauth-out.client-credentials':
    'Relay and gateway send an access token for the very server, one for all who share it.',
  'oauth-out.collapsed': 'However many requests need a token, one is asked for.',
  'oauth-out.refused-once': 'A 401 drops the token and the request is sent once more with another; never a third time.',
  'oauth-out.renewed': 'A token is replaced before its end, beside the requests.',
  'oauth-out.down': 'Without the authorization server its own servers fail at once with the reason, and come back.',
  'oauth-out.refusal':
    'What the authorization server refuses is said with its code, the server, the user and what to do.',
  'oauth-out.own': 'A user with a client of their own has tokens of their own.',
  'oauth-out.inherit': "A user's own client says what differs; a shared secret never leaves its path by it.",
  'oauth-out.brought': 'Where each user brings a refresh token, who has none sends nothing to anybody.',
  'oauth-out.step-up':
    'Scopes that a server wants are asked for once and the request sent once more, where the operator left them open.',
  'oauth-out.scope-missing': 'A scope that a server wants and nobody may ask for is named in answer, log and status.',
  'oauth-out.refresh': 'A refresh token that is replaced is kept before it is used, over restarts and kill -9.',
  'oauth-out.files': 'Kept tokens are readable by the service alone, and go when they are not configured any more.',
  'oauth-out.reload': 'A reload keeps the tokens of what has not changed and starts afresh where it has.',
  'oauth-out.discovery': 'The token endpoint is found by the challenge, RFC 9728 and RFC 8414, with paths and without.',
  'oauth-out.discovery-refused': 'Metadata of another server or issuer, and a changed issuer, get no client secret.',
  'oauth-out.no-private': 'Nothing in a private network is asked unless that is allowed.',
  'oauth-out.ca': 'The CA of an authorization server is named under auth; that of a server vouches for it alone.',
  'oauth-out.client-auth': 'The client proves itself as the metadata offers, or as it is written.',
  'oauth-out.status':
    'Status and why say until when an access token is good, and what fails for whom since when and what to do.',
  'oauth-out.commands': '`check`, `check --connect`, `why` and `tools` know where tokens come from.',
} as const;

export const TRUST = { ...SIGNING, ...OAUTH, ...OAUTH_OUT };
