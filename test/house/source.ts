/**
 * A TypeScript file as the house checks see it: its text, and the same text with everything blanked that is not code.
 *
 * A small lexer for comments, strings, templates and regular expressions; TypeScript 7 has no stable parser API.
 * Blanked characters become spaces and line breaks stay, so that an index means the same place in both texts.
 * Limit: a regular expression right after a closing parenthesis is taken for a division.
 */

export interface Comment {
  /** 1-based, both inclusive. */
  readonly firstLine: number;
  readonly lastLine: number;
  readonly text: string;
}

export interface Source {
  /** Relative to the top of the tree, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** `text` without comments and without the contents of strings, templates and regular expressions. */
  readonly code: string;
  readonly comments: readonly Comment[];
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

type Kind = 'code' | 'comment' | 'literal';

interface Span {
  readonly kind: Kind;
  readonly start: number;
  readonly end: number;
}

/** Lexes one file. */
export function readSource(path: string, text: string): Source {
  const spans = lex(text);
  const blanked = spans.map(({ kind, start, end }) => {
    const piece = text.slice(start, end);
    return kind === 'code' ? piece : piece.replace(/[^\n]/g, ' ');
  });
  const comments = spans
    .filter((span) => span.kind === 'comment')
    .map(({ start, end }) => ({
      firstLine: lineAt(text, start),
      lastLine: lineAt(text, end),
      text: text.slice(start, end),
    }));
  return { path, text, code: blanked.join(''), comments };
}

/** 1-based line of an index. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** Every module named by `import`, `export … from`, `import()`, `import('…').Type` or `require()`. */
export function findImports(source: Source): Import[] {
  const pattern = /(?<![.\w$])(?:from\s*|import\s*\(?\s*|require\s*\(\s*)(['"`])/g;
  return [...source.code.matchAll(pattern)].map((match) => {
    const start = match.index + match[0].length;
    const end = source.text.indexOf(match[1] ?? '', start);
    return { specifier: source.text.slice(start, end), line: lineAt(source.text, match.index) };
  });
}

/** Index of the bracket that closes the one at `open`, or the end of the text. */
export function closingIndex(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at += 1) {
    const char = code.charAt(at);
    if ('([{'.includes(char)) depth += 1;
    if (')]}'.includes(char)) depth -= 1;
    if (depth === 0) return at;
  }
  return code.length;
}

/** Cuts the text into spans without gaps; quotes and slashes themselves belong to the code. */
function lex(text: string): Span[] {
  const spans: Span[] = [];
  /** For each open `${`: how many braces are open inside it. */
  const templates: number[] = [];
  let at = 0;
  let codeStart = 0;
  const cut = (kind: Kind, start: number, end: number): void => {
    spans.push({ kind: 'code', start: codeStart, end: start }, { kind, start, end });
    at = end;
    codeStart = end;
  };
  while (at < text.length) {
    const char = text.charAt(at);
    const depth = templates.at(-1);
    if (text.startsWith('//', at) || (at === 0 && text.startsWith('#!'))) {
      cut('comment', at, indexOrEnd(text, '\n', at));
    } else if (text.startsWith('/*', at)) {
      cut('comment', at, Math.min(text.length, indexOrEnd(text, '*/', at + 2) + 2));
    } else if (char === "'" || char === '"') {
      cut('literal', at + 1, literalEnd(text, at + 1, char));
      at += 1;
    } else if (char === '`' || (char === '}' && depth === 0)) {
      if (char === '}') templates.pop();
      const end = templateEnd(text, at + 1);
      cut('literal', at + 1, end);
      if (text.startsWith('${', end)) templates.push(0);
      at += text.startsWith('${', end) ? 2 : 1;
    } else if (char === '/' && startsRegExp(text.slice(Math.max(0, at - 40), at))) {
      cut('literal', at + 1, regExpEnd(text, at + 1));
      at += 1;
    } else {
      if (depth !== undefined && char === '{') templates.push((templates.pop() ?? 0) + 1);
      if (depth !== undefined && char === '}') templates.push((templates.pop() ?? 0) - 1);
      at += 1;
    }
  }
  spans.push({ kind: 'code', start: codeStart, end: text.length });
  return spans;
}

function indexOrEnd(text: string, wanted: string, from: number): number {
  const index = text.indexOf(wanted, from);
  return index === -1 ? text.length : index;
}

function literalEnd(text: string, from: number, quote: string): number {
  let at = from;
  while (at < text.length && text.charAt(at) !== quote && text.charAt(at) !== '\n') {
    at += text.charAt(at) === '\\' ? 2 : 1;
  }
  return Math.min(at, text.length);
}

function templateEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charAt(at) !== '`' && !text.startsWith('${', at)) {
    at += text.charAt(at) === '\\' ? 2 : 1;
  }
  return Math.min(at, text.length);
}

function regExpEnd(text: string, from: number): number {
  let inClass = false;
  let at = from;
  for (; at < text.length && text.charAt(at) !== '\n'; at += 1) {
    const char = text.charAt(at);
    if (char === '\\') at += 1;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) break;
  }
  return Math.min(at, text.length);
}

/** A slash starts a regular expression where a value may begin. */
function startsRegExp(before: string): boolean {
  const trimmed = before.trimEnd();
  return trimmed === '' || /[(,=:[!&|?{};+\-*%<>~^]$|\b(?:return|typeof|case|in|of|yield|await)$/.test(trimmed);
}
