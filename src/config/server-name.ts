/**
 * Names of servers: which text can be one, and what to write instead of one that cannot.
 *
 * A name is the first path segment of its server's URL and what its tools begin with, so it has few characters and is none
 * of the words that mcproxy's own paths begin with.
 */
import { SERVER_NAME_CHARS_MAX } from '../limits.ts';
import { isPlainName, shownName, showName, type FileProblems, type Place } from './problems.ts';

/** First path segments that lead elsewhere. */
const RESERVED = new Set([
  'mcp',
  'sse',
  'messages',
  'healthz',
  'readyz',
  'health',
  'metrics',
  'status',
  'ui',
  '.well-known',
]);
const NAME = new RegExp(`^[A-Za-z0-9_-]{1,${SERVER_NAME_CHARS_MAX}}$`);

/** Tells whether `name` can be the name of a server. */
export function isServerName(name: string): boolean {
  return NAME.test(name) && !RESERVED.has(name);
}

/** Reports a name that no server can have. */
export function reportServerName(problems: FileProblems, place: Place, name: string): void {
  const remark = RESERVED.has(name)
    ? {
        text: `${showName(name)} is the name of a path of mcproxy itself`,
        fix: `choose another name, such as "${name.replace('.', '')}-server"`,
      }
    : {
        text: `${showName(name)} cannot be the name of a server`,
        fix: `use 1 to ${SERVER_NAME_CHARS_MAX} of the characters A-Z a-z 0-9 _ -${suggestion(name)}`,
      };
  problems.error(place, { ...remark, shown: shownName(name) });
}

/** The nearest name that a server can have; undefined when nothing is left. */
export function toServerName(name: string): string | undefined {
  const cleaned = name
    .replaceAll(/[^\w-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, SERVER_NAME_CHARS_MAX);
  if (cleaned === '') return undefined;
  return isServerName(cleaned) ? cleaned : `${cleaned}-server`;
}

function suggestion(name: string): string {
  const usable = toServerName(name);
  return usable === undefined || !isPlainName(name) ? '' : `, such as "${usable}"`;
}
