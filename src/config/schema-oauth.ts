/**
 * Rows of mcproxy.yml about access tokens: the block that `auth` may be instead of a word, for those of an authorization
 * server elsewhere, and `oauth`, for those that mcproxy issues itself.
 *
 * A part of the table in `schema.ts`, which says what a row is. What both kinds of token share may also be written under
 * `jwt`, where people look for it. What the rows mean together is judged in `oauth.ts`.
 */
export const OAUTH = {
  'auth.jwt.issuer': {
    kind: 'text',
    default: 'none: no JWT is let in',
    unit: 'https:// URL, exactly as its tokens name it',
    when: 'Write it to let in whoever has a JWT access token of this authorization server, besides the tokens of tokens.yml.',
  },
  'auth.jwt.jwks_url': {
    kind: 'url',
    default: "from the issuer's metadata",
    unit: 'https:// URL',
    when: 'Write it when the issuer publishes no metadata.',
  },
  'auth.introspection.url': {
    kind: 'url',
    default: 'none: opaque access tokens are not let in',
    unit: 'https:// URL',
    when: 'Write it when access tokens are opaque: the authorization server is asked about each (RFC 7662).',
  },
  'auth.introspection.issuer': {
    kind: 'text',
    default: 'auth.jwt.issuer',
    unit: 'https:// URL',
    when: 'Write it without jwt, so that clients are told where to log in.',
  },
  'auth.introspection.client_id': { kind: 'text', default: 'none', when: 'Write it with url.' },
  'auth.introspection.client_secret': { kind: 'secret', default: 'none', when: 'Write it with url.' },
  'auth.audience': {
    kind: 'list',
    of: 'text',
    also: ['auth.jwt.audience', 'auth.introspection.audience'],
    default: 'every URL of this service below public_url',
    unit: 'text, or a list of them; a token has to be for one (aud)',
    when: 'Write it when the authorization server names this service otherwise.',
  },
  'auth.scopes': {
    kind: 'list',
    of: 'text',
    also: ['auth.jwt.scopes', 'auth.introspection.scopes'],
    default: 'none',
    unit: 'list; a token has to have all',
    when: 'Write them when the authorization server gives tokens that are not for tools.',
  },
  'auth.user_claim': {
    kind: 'text',
    also: ['auth.jwt.user_claim', 'auth.introspection.user_claim'],
    default: 'sub',
    unit: 'name of a claim',
    when: 'Change it when another claim names the users of tokens.yml, who need no token there then.',
  },
  'auth.servers': {
    kind: 'list',
    of: 'text',
    also: ['auth.jwt.servers', 'auth.introspection.servers'],
    default: 'none: who is no user of tokens.yml is refused',
    unit: '"*", or a list of names',
    when: 'Write which servers are for everybody with a valid access token, besides what claims give.',
  },
  'auth.role_claim': {
    kind: 'text',
    also: ['auth.jwt.role_claim', 'auth.introspection.role_claim'],
    default: 'none: no claim gives a role',
    unit: 'name of a claim, or a path such as realm_access.roles',
    when: 'Write it when the authorization server says which roles of tokens.yml somebody has who is no user there.',
  },
  'auth.admin_role': {
    kind: 'text',
    also: ['auth.jwt.admin_role', 'auth.introspection.admin_role'],
    default: 'none: no claim makes an administrator',
    unit: 'a value of the role claim',
    when: 'Write which value stands for role: admin.',
  },
  'auth.servers_claim': {
    kind: 'text',
    also: ['auth.jwt.servers_claim', 'auth.introspection.servers_claim'],
    default: 'none: no claim gives servers',
    unit: 'name of a claim, or a path',
    when: 'Write it when the authorization server says which servers somebody may use, by their exact names.',
  },
  'auth.allow_private': {
    kind: 'flag',
    also: ['auth.jwt.allow_private', 'auth.introspection.allow_private'],
    default: 'false',
    unit: 'true or false',
    when: 'Set true when the authorization server is in your own network, or speaks plain http:// there.',
  },
  'auth.ca_file': {
    kind: 'path',
    also: ['auth.jwt.ca_file', 'auth.introspection.ca_file'],
    default: 'the CAs that Node knows',
    unit: 'path, relative to this file',
    when: 'Write it when the certificate of the authorization server is of a private CA.',
  },
} as const;

/** mcproxy as its own authorization server. */
export const FACADE = {
  oauth: {
    kind: 'word',
    words: { facade: 'facade', off: 'off' },
    default: 'off',
    unit: 'facade or off, or the block below',
    when: 'Set facade for Claude.ai, ChatGPT and other clients that log in with OAuth and cannot send a token of their own: people paste theirs in a page. Needs public_url.',
  },
  'oauth.facade': {
    kind: 'flag',
    default: 'true in a block',
    unit: 'true or false',
    when: 'The same as the word, for a block with more in it.',
  },
  'oauth.allow_private': {
    kind: 'flag',
    default: 'false',
    unit: 'true or false',
    when: 'Set true when clients publish their metadata document (CIMD) in your own network.',
  },
} as const;
