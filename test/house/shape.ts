/**
 * House checks about one file at a time: header, sizes, names, leftovers and bounded collections.
 *
 * Each is a pure function from sources to complaints. The linter measures functions too, with a real parser; the
 * check here keeps the rule when somebody loosens the linter.
 */
import { floorOf } from './floors.ts';
import { closingIndex, lineAt, type Comment, type Source } from './source.ts';

export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;
const HEADER_LINES_MIN = 3;
const HEADER_LINES_MAX = 12;

const NAMES_BANNED = /^(?:utils?|helpers?|commons?|shared|managers?|services?|handlers?|index)$/;
const KEBAB_CASE = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/;
const NOT_A_FUNCTION = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'return', 'await', 'typeof', 'new']);

/** Files that do not open with a block comment whose text has 3 to 12 lines. */
export function checkHeaders(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text, comments }) => {
    const header = comments.find((comment) => !comment.text.startsWith('#!'));
    const opens = header !== undefined && text.replace(/^#!.*\n/, '').startsWith(header.text);
    if (!opens || !header.text.startsWith('/**')) return [`${path}: opens without a header comment`];
    const lineCount = header.text.split('\n').filter((line) => /[^\s/*]/.test(line)).length;
    if (lineCount >= HEADER_LINES_MIN && lineCount <= HEADER_LINES_MAX) return [];
    return [`${path}: header has ${lineCount} lines, wanted ${HEADER_LINES_MIN} to ${HEADER_LINES_MAX}`];
  });
}

/** Files over the bound. */
export function checkFileLengths(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) => {
    const lineCount = text.trimEnd().split('\n').length;
    return lineCount <= FILE_LINES_MAX ? [] : [`${path}: ${lineCount} lines, at most ${FILE_LINES_MAX}`];
  });
}

/** Functions over the bound, from the line of the name or parameter list to the closing brace. */
export function checkFunctionLengths(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, code }) =>
    findFunctions(code).flatMap(({ start, end }) => {
      const line = lineAt(code, start);
      const lineCount = lineAt(code, end) - line + 1;
      const complaint = `${path}:${line}: function of ${lineCount} lines, at most ${FUNCTION_LINES_MAX}`;
      return lineCount <= FUNCTION_LINES_MAX ? [] : [complaint];
    }),
  );
}

interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Arrow functions by `=> {`, all others by a parameter list, an optional type and `{`. */
function findFunctions(code: string): Extent[] {
  const arrows = [...code.matchAll(/=>\s*\{/g)].map((match) => ({ start: match.index, body: bodyIn(match) }));
  const others = [...code.matchAll(/(?<word>[\w$#]+)\s*(?:<[^<>()]*(?:<[^<>()]*>[^<>()]*)*>)?\s*\(/g)].flatMap(
    (match) => {
      if (NOT_A_FUNCTION.has(match.groups?.['word'] ?? '')) return [];
      const body = findBody(code, closingIndex(code, match.index + match[0].length - 1) + 1);
      return body === undefined ? [] : [{ start: match.index, body }];
    },
  );
  return [...arrows, ...others].map(({ start, body }) => ({ start, end: closingIndex(code, body) }));
}

function bodyIn(match: RegExpExecArray): number {
  return match.index + match[0].length - 1;
}

/** Index of the `{` of the body after a parameter list; a return type may stand between them. */
function findBody(code: string, from: number): number | undefined {
  let at = skipSpace(code, from);
  if (code.charAt(at) !== ':') return code.charAt(at) === '{' ? at : undefined;
  let previous = ':';
  let angles = 0;
  for (at = skipSpace(code, at + 1); at < code.length; at = skipSpace(code, at + 1)) {
    const char = code.charAt(at);
    const arrow = code.startsWith('=>', at);
    // A brace after one of these begins an object type, any other brace the body.
    if (char === '{' && !/[:|&<,=]/.test(previous)) return at;
    if (';)}?'.includes(char) || (char === ',' && angles === 0) || (char === '=' && !arrow)) return undefined;
    if (char === '<') angles += 1;
    if (char === '>') angles -= 1;
    previous = arrow ? '=' : char;
    if (arrow) at += 1;
    else if ('([{'.includes(char)) at = closingIndex(code, at);
  }
  return undefined;
}

function skipSpace(code: string, from: number): number {
  return from + (/^\s*/.exec(code.slice(from))?.[0].length ?? 0);
}

/** File and folder names that say nothing, and names that are not kebab-case. */
export function checkNames(paths: readonly string[]): string[] {
  return paths.flatMap((path) =>
    path.split('/').flatMap((part) => {
      const stem = part.replace(/\.(?:ts|js)$/, '');
      const word = stem.split(/[-.]/).find((each) => NAMES_BANNED.test(each));
      if (word !== undefined) return [`${path}: "${word}" says nothing; name what is inside`];
      return KEBAB_CASE.test(stem) ? [] : [`${path}: file names are kebab-case`];
    }),
  );
}

/** Marks in comments that ask for work: one kind never, the other only with the number of an issue. */
export function checkLeftovers(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, comments }) =>
    comments.flatMap(({ text, firstLine }) => {
      const found = [...text.matchAll(/\bFIXME\b|\bTODO\b(?!\s*\(?\s*(?:#\d+|[a-z]+-\d+))/g)];
      return found.map((match) => `${path}:${firstLine + lineAt(text, match.index) - 1}: ${match[0]} without an issue`);
    }),
  );
}

/**
 * Empty maps and sets on floors 3 to 5 that do not say what bounds them: `// Bounded by NAME.` on the same line or
 * in the comment right above, with a name of limits.ts, "configuration" or "constant".
 */
export function checkBounds(sources: readonly Source[], limits: ReadonlySet<string>): string[] {
  return sources
    .filter(({ path }) => [3, 4, 5].includes(floorOf(path) ?? -1))
    .flatMap(({ path, code, comments }) =>
      findEmptyCollections(code)
        .filter((line) => !isBounded(commentsAt(comments, line), limits))
        .map((line) => `${path}:${line}: a collection without "Bounded by …"`),
    );
}

function findEmptyCollections(code: string): number[] {
  return [...code.matchAll(/\bnew (?:Map|Set)\b/g)].flatMap((match) => {
    const rest = code.slice(match.index + match[0].length);
    const empty = /^\s*(?:<[^;()]*(?:\([^()]*\)[^;()]*)*>)?\s*\(\s*\)/.test(rest);
    return empty ? [lineAt(code, match.index)] : [];
  });
}

/** Comments on the line and the unbroken run of comments right above it. */
function commentsAt(comments: readonly Comment[], line: number): Comment[] {
  const found = comments.filter((comment) => comment.firstLine === line);
  let next = line - 1;
  for (const comment of comments.toReversed()) {
    if (comment.lastLine !== next) continue;
    found.push(comment);
    next = comment.firstLine - 1;
  }
  return found;
}

function isBounded(comments: readonly Comment[], limits: ReadonlySet<string>): boolean {
  return comments.some(({ text }) => {
    const name = /Bounded by (?:the |a )?`?([A-Za-z_0-9]+)/i.exec(text)?.[1];
    return name !== undefined && (limits.has(name) || name === 'configuration' || name === 'constant');
  });
}
