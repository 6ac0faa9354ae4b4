/**
 * A reader of TOML, as far as settings of programs need it: tables, dotted and quoted keys, strings of all four kinds,
 * arrays, inline tables, true and false. Numbers and dates are handed out as their text.
 *
 * For files of other programs, which are valid already: what it cannot read makes the whole document unreadable, and
 * what TOML forbids but can be understood is not refused. Pure. Source: TOML 1.0.0.
 */
export type TomlValue = string | boolean | readonly TomlValue[] | TomlTable;
/** Without prototype. */
export interface TomlTable {
  [key: string]: TomlValue;
}

/** Deeper nesting is not read. */
const DEPTH_MAX = 32;

/** @returns undefined when it cannot be read */
export function parseToml(text: string): TomlTable | undefined {
  try {
    return new Reader(text).document();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const BLANKS = /[ \t]*/y;
const BLANK_LINES = /(?:[ \t\r\n]|#[^\n]*)*/y;
const LINE_END = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y;
const BARE_KEY = /[A-Za-z0-9_-]+/y;
/** Numbers, dates and times. */
const BARE_VALUE = /[+\-\w.:]+(?: \d\d:[\d:.]+[\w:+-]*)?/y;
const LONG_STRING = /"""\r?\n?((?:[^\\"]|\\[^]|"(?!""))*"{0,2})"""|'''\r?\n?([^]*?'{0,2})'''(?!')/y;
const STRING = /("(?:[^"\\\n]|\\[^\n])*")|'([^'\n]*)'/y;

/** A place in a text; a class because it moves. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): TomlTable {
    const root = makeTable();
    let table = root;
    for (this.#skip(BLANK_LINES); this.#at < this.#text.length; this.#skip(BLANK_LINES)) {
      if (this.#take('[[')) {
        table = appendTo(root, this.#key());
        this.#expect(']]');
      } else if (this.#take('[')) {
        table = tableAt(root, this.#key());
        this.#expect(']');
      } else this.#pair(table, 0);
      if (this.#match(LINE_END) === undefined) throw new SyntaxError('more on the line');
    }
    return root;
  }

  #pair(table: TomlTable, depth: number): void {
    const path = this.#key();
    this.#expect('=');
    const last = path.pop();
    if (last === undefined) throw new SyntaxError('no key');
    tableAt(table, path)[last] = this.#value(depth);
  }

  #key(): string[] {
    const path: string[] = [];
    do {
      this.#skip(BLANKS);
      const found = this.#string() ?? this.#match(BARE_KEY)?.[0];
      if (found === undefined) throw new SyntaxError('no key');
      path.push(found);
      this.#skip(BLANKS);
    } while (this.#take('.'));
    return path;
  }

  #value(depth: number): TomlValue {
    if (depth > DEPTH_MAX) throw new SyntaxError('too deep');
    this.#skip(BLANKS);
    if (this.#take('[')) return this.#array(depth + 1);
    if (this.#take('{')) return this.#inlineTable(depth + 1);
    const text = this.#string();
    if (text !== undefined) return text;
    const bare = this.#match(BARE_VALUE)?.[0];
    if (bare === undefined) throw new SyntaxError('no value');
    return bare === 'true' || bare === 'false' ? bare === 'true' : bare;
  }

  #array(depth: number): TomlValue[] {
    const items: TomlValue[] = []; // Bounded by the length of the text.
    for (this.#skip(BLANK_LINES); !this.#take(']'); this.#skip(BLANK_LINES)) {
      items.push(this.#value(depth));
      this.#skip(BLANK_LINES);
      if (this.#take(',')) continue;
      this.#expect(']');
      break;
    }
    return items;
  }

  #inlineTable(depth: number): TomlTable {
    const table = makeTable();
    for (this.#skip(BLANK_LINES); !this.#take('}'); this.#skip(BLANK_LINES)) {
      this.#pair(table, depth);
      this.#skip(BLANK_LINES);
      if (this.#take(',')) continue;
      this.#expect('}');
      break;
    }
    return table;
  }

  #string(): string | undefined {
    const long = this.#match(LONG_STRING);
    if (long !== undefined) return long[2] ?? unescape((long[1] ?? '').replaceAll(/\\[ \t]*\r?\n\s*/g, ''));
    const short = this.#match(STRING);
    return short && (short[2] ?? unescape((short[1] ?? '""').slice(1, -1)));
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text) ?? undefined;
    if (found !== undefined) this.#at = pattern.lastIndex;
    return found;
  }

  #skip(pattern: RegExp): void {
    this.#match(pattern);
  }

  #take(text: string): boolean {
    const is = this.#text.startsWith(text, this.#at);
    if (is) this.#at += text.length;
    return is;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new SyntaxError(`no ${text}`);
  }
}

function makeTable(): TomlTable {
  return Object.create(null) as TomlTable;
}

function tableAt(root: TomlTable, path: readonly string[]): TomlTable {
  return path.reduce((table, key) => {
    const known = (table[key] ??= makeTable());
    // The last of an array of tables is the one that is being written.
    const inner = Array.isArray(known) ? (known as readonly TomlValue[]).at(-1) : known;
    if (typeof inner !== 'object' || Array.isArray(inner)) throw new SyntaxError('no table');
    return inner as TomlTable;
  }, root);
}

function appendTo(root: TomlTable, path: readonly string[]): TomlTable {
  const last = path.at(-1) ?? '';
  const parent = tableAt(root, path.slice(0, -1));
  const list = parent[last] ?? [];
  if (!Array.isArray(list)) throw new SyntaxError('no array');
  const table = makeTable();
  parent[last] = [...(list as readonly TomlValue[]), table];
  return table;
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r', e: '\u001B' };

function unescape(text: string): string {
  return text.replaceAll(/\\(?:u[\dA-Fa-f]{4}|U[\dA-Fa-f]{8}|[^])/g, (whole) => {
    const letter = whole[1] ?? '';
    if (whole.length === 2) return ESCAPES[letter] ?? letter;
    const code = Number.parseInt(whole.slice(2), 16);
    return code > 0x10_ff_ff ? '\uFFFD' : String.fromCodePoint(code);
  });
}
