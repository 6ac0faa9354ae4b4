/**
 * The options of `auth` with `type: oauth`: how access tokens for a server are got; rows of the schema (`schema.ts`).
 *
 * With a refresh token it is that grant, else the client-credentials grant. A user's own entry takes over what it does not
 * say from the shared one, but for the refresh token. What the rows mean together is decided in `oauth-client.ts`, and what
 * is done with them in `auth/grant`.
 */
export const OAUTH_CLIENT = {
  type: {
    kind: 'node',
    default: 'none',
    unit: 'oauth',
    when: 'Write oauth, or client_id or refresh_token alone, to send access tokens of an authorization server, which are got and replaced as needed.',
  },
  client_id: {
    kind: 'text',
    default: 'none; for a user that of the shared server, like all below but refresh_token',
    when: 'Write the name by which the authorization server knows mcproxy.',
  },
  client_secret: {
    kind: 'secret',
    default: 'none',
    when: 'Write it for the client-credentials grant, and for a refresh token of a client that has one. Users inherit it where token_url or issuer stands beside it.',
  },
  refresh_token: {
    kind: 'secret',
    default: 'none: the client-credentials grant',
    when: 'Write the refresh token of a user who has logged in elsewhere; those that replace it are kept in the state directory. At a shared server its name without a value says that each user brings one.',
  },
  token_url: {
    kind: 'url',
    default: 'from the metadata of the server and of its authorization server',
    unit: 'https:// URL',
    when: 'Write it when the server publishes no metadata, or so that nobody else is ever asked.',
  },
  issuer: {
    kind: 'text',
    default: 'the authorization server that the server named first',
    unit: 'https:// URL, exactly as its metadata names it',
    when: 'Write it so that the server cannot name another one, or when it has moved to another one.',
  },
  scopes: {
    kind: 'list',
    of: 'text',
    default: 'those that the server asks for',
    unit: 'list',
    when: 'Write them to ask for less, or for what the server does not name.',
  },
  resource: {
    kind: 'text',
    default: 'what the server calls itself, or its url without query',
    unit: 'URI',
    when: 'Write it when the authorization server knows the server by another name.',
  },
  client_auth: {
    kind: 'word',
    words: {
      auto: 'auto',
      basic: 'basic',
      client_secret_basic: 'basic',
      post: 'post',
      client_secret_post: 'post',
    },
    default: 'auto: as the metadata says, else basic',
    unit: 'auto, basic or post',
    when: 'Set post when the authorization server wants the secret in the form and says invalid_client.',
  },
  allow_private: {
    kind: 'flag',
    default: 'false',
    unit: 'true or false',
    when: 'Set true for an authorization server in your own network; it may then speak http:// too.',
  },
  ca_file: {
    kind: 'path',
    default: 'the CAs that Node knows; the ca_file beside auth is for the server itself',
    unit: 'path, relative to this file',
    when: 'Write it when the certificate of the authorization server is of a private CA.',
  },
} as const;
