/**
 * Every option of a user, a role and a token: rows of the same form as in `schema.ts`, for tokens.yml.
 *
 * A role has what a user has but for tokens and roles, so that whatever is said of one user can be said of many. Rules
 * are decoded in `access.ts`, tokens in `tokens.ts`, and put together in `users.ts`.
 */
import type { Table } from './schema.ts';
import { USER_LIMITS } from './schema-limits.ts';

const RULES = {
  kind: 'node',
  unit: 'list of patterns, in which * stands for any characters and ? for one; "!PATTERN" denies, and wins',
} as const;

/** One role, under `roles`. */
export const ROLE = {
  servers: {
    kind: 'node',
    default: 'none',
    unit: '"*", a list of names and patterns ("!NAME" denies), or a map from name to what is special here',
    when: "Write a credential of the user's own here, and servers that are for this user alone.",
  },
  tools: {
    ...RULES,
    default: 'all tools of the servers',
    when: 'Write it to allow only some tools, by their names in /mcp (server__tool); it holds on every URL.',
  },
  prompts: {
    ...RULES,
    default: 'all prompts of the servers',
    when: 'Write it to allow only some prompts, in the same way.',
  },
  resources: {
    ...RULES,
    default: 'all resources of the servers',
    when: 'Write it to allow only resources with such URIs, and templates with such texts. "*" also stands for "/".',
  },
  ...USER_LIMITS,
} as const satisfies Table;

/** One user, under `users`. */
export const USER = {
  token: {
    kind: 'node',
    default: 'none: the user cannot come in',
    unit: 'sha256:HEX, a map with a label and terms, or a list of these',
    when: '`mcproxy token add NAME` makes one, prints it once and stores its SHA-256. Two at a time allow a change without a gap.',
  },
  role: {
    kind: 'text',
    default: 'user',
    unit: 'user, admin, or the name of a role',
    when: 'Set admin for those who may see /status in full, /metrics and the dashboard; the name of a role for its rules.',
  },
  roles: {
    kind: 'list',
    of: 'text',
    default: 'none',
    unit: 'list of what role can be',
    when: 'Write several: their lists of one kind add up, and what one of them denies is denied.',
  },
  ...ROLE,
} as const satisfies Table;

/** `token` of a user when it is a map. */
export const TOKEN = {
  sha256: { kind: 'text', default: 'none', unit: '64 hexadecimal digits', when: 'The SHA-256 of the token.' },
  token: { kind: 'secret', default: 'none', when: 'The token itself, in place of sha256; `check` warns about it.' },
  label: { kind: 'text', default: 'none', when: 'Say where the token is used, so that one of several can be told.' },
  expires: {
    kind: 'end',
    default: 'never',
    unit: 'day, whose end is meant (UTC), or time with offset',
    when: 'Set it for tokens that are handed out for a while.',
  },
  not_before: {
    kind: 'start',
    default: 'at once',
    unit: 'day, whose beginning is meant (UTC), or time with offset',
    when: 'Set it for tokens that are handed out in advance.',
  },
  networks: {
    kind: 'list',
    of: 'block',
    default: 'anywhere',
    unit: 'IP addresses or CIDR blocks',
    when: 'Set it for tokens that are used from known places only.',
  },
} as const satisfies Table;
