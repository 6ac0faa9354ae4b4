/**
 * The options that say how much is allowed; rows of the schema (`schema.ts`, `schema-users.ts`), which spread them in.
 *
 * The same four names everywhere; what they count depends on where they stand, so each place has words of its own. They
 * are decoded and put together in `limits.ts`; what is counted, and where, is in `gateway/charges` and `http/rate-limit`.
 */

const RATE = { kind: 'rate', unit: 'calls in a time, such as 60/min, 5/s or 1000/h; or off' } as const;
const BURST = { kind: 'count', min: 1, max: 1_000_000, unit: 'calls' } as const;
const CONCURRENT = { kind: 'count', max: 1_000_000, unit: 'calls in progress; 0 is no limit' } as const;
const TOOLS = { kind: 'node', unit: 'map from a tool or pattern to a map of rate, burst and concurrent' } as const;

const BURST_ROW = {
  ...BURST,
  default: 'the number in limits.rate',
  when: 'Lower it so that calls come more evenly.',
} as const;

/** In mcproxy.yml: for every user. */
export const SETTING_LIMITS = {
  'limits.rate': {
    ...RATE,
    default: 'off',
    when: 'Set it so that no user can use up what all share. Each user has their own count; a role or a user may say otherwise.',
  },
  'limits.burst': BURST_ROW,
  'limits.concurrent': {
    ...CONCURRENT,
    default: '0',
    when: 'Set it so that no user can keep everything busy at once.',
  },
  'limits.tools': {
    ...TOOLS,
    default: 'none',
    when: 'Write it for tools that cost much, by their names in /mcp (server__tool). All that a pattern matches share its count, for each user; the first pattern that matches counts.',
  },
} as const;

export const SERVER_LIMITS = {
  'limits.rate': {
    ...RATE,
    default: 'off',
    when: 'Set it to what the server bears from all users together. Under a user it counts that user alone, besides.',
  },
  'limits.burst': BURST_ROW,
  'limits.concurrent': { ...CONCURRENT, default: '0', when: 'Set it for a server that does few things at a time.' },
  'limits.tools': {
    ...TOOLS,
    default: 'none',
    when: "Write it for single tools, by the server's own names. The first pattern that matches counts.",
  },
} as const;

/** Of a user, or of each user of a role. */
export const USER_LIMITS = {
  'limits.rate': { ...RATE, default: 'limits.rate of mcproxy.yml', when: 'Set it for those who need more or less.' },
  'limits.burst': BURST_ROW,
  'limits.concurrent': {
    ...CONCURRENT,
    default: 'limits.concurrent of mcproxy.yml',
    when: 'Set it for those who need more or less.',
  },
  'limits.tools': {
    ...TOOLS,
    default: 'limits.tools of mcproxy.yml',
    when: 'Write it for single tools, by their names in /mcp. Those of the user go before those of roles and of mcproxy.yml.',
  },
} as const;

/** One tool or pattern under `limits.tools`. */
export const TOOL_LIMIT = {
  rate: { ...RATE, default: 'off', when: 'As limits.rate.' },
  burst: { ...BURST, default: 'the number in rate', when: 'As limits.burst.' },
  concurrent: { ...CONCURRENT, default: '0', when: 'As limits.concurrent.' },
} as const;
