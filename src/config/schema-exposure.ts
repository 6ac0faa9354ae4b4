/**
 * The options of a server that say what clients see of it; rows of the schema (`schema.ts`), which spreads them in.
 *
 * A file of its own because the rows belong together and are decoded together (`exposure.ts`). Source of the sizes:
 * `limits.ts`.
 */
import { EXPOSED_NAME_CHARS_MAX } from '../limits.ts';

const GLOBS = {
  kind: 'list',
  of: 'glob',
  unit: 'patterns, in which * stands for any characters and ? for one',
} as const;

export const EXPOSURE = {
  prefix: {
    kind: 'label',
    default: "the server's name",
    unit: 'up to 32 characters A-Z a-z 0-9 _ -, or "" for none',
    when: 'Its names in /mcp begin with prefix__. Set "" for names as the server has them; several servers may share one.',
  },
  'tools.allow': {
    ...GLOBS,
    also: ['enabled_tools', 'includeTools'],
    default: 'all',
    when: "Write it to show only some tools, by the server's own names.",
  },
  'tools.deny': {
    ...GLOBS,
    also: ['disabled_tools', 'disabledTools', 'excludeTools'],
    default: 'none',
    when: 'Write it to hide tools and refuse calls of them; it goes before allow.',
  },
  'tools.rename': {
    kind: 'node',
    default: 'none',
    unit: `map from a tool's own name to the one that is shown, up to ${EXPOSED_NAME_CHARS_MAX} characters A-Z a-z 0-9 _ . -`,
    when: 'Write it where a name says too little. The prefix is put before it.',
  },
  'tools.describe': {
    kind: 'node',
    default: 'none',
    unit: "map from a tool's own name to its description",
    when: 'Write it to tell models what a tool is for here.',
  },
  'tools.arguments': {
    kind: 'node',
    default: 'none',
    unit: 'map from a tool (own name or pattern) to a map from argument to value',
    when: 'A text, number, truth value or list is forced: the tool always gets it, whatever the client sends. {force: VALUE} says the same and takes maps and null too; {default: VALUE} is for calls that leave the argument out. Either way it is not shown in the schema. A name goes before patterns, of which the first one counts.',
  },
  'prompts.allow': { ...GLOBS, default: 'all', when: 'Write it to show only some prompts; an empty list hides all.' },
  'prompts.deny': { ...GLOBS, default: 'none', when: 'Write it to hide prompts; it goes before allow.' },
  'resources.allow': {
    ...GLOBS,
    default: 'all',
    when: 'Write it to show and read only resources with such URIs, and templates with such texts. "*" also stands for "/".',
  },
  'resources.deny': {
    ...GLOBS,
    default: 'none',
    when: 'Write it to hide resources and refuse to read them; it goes before allow.',
  },
} as const;
