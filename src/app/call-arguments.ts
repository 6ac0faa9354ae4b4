/**
 * The arguments of a tool as they stand on the command line: JSON, a file, standard input, or pairs.
 *
 *   '{"path": "/srv"}'   @arguments.json   -   path=/srv   depth:=2
 *
 * A pair with `=` is text, one with `:=` is JSON, as HTTPie writes them. What the tool accepts is the server's to say.
 */
import { readFile } from 'node:fs/promises';

import { GATEWAY_BODY_BYTES_MAX } from '../limits.ts';
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject } from '../mcp/waist.ts';

const PAIR = /^([^=:\s{[]+)(:?=)(.*)$/s;

/** The arguments, or what is wrong with them. */
export async function readArguments(
  words: readonly string[],
  stdin: AsyncIterable<unknown> | undefined,
): Promise<JsonObject | string> {
  const [first] = words;
  if (first === undefined) return {};
  if (PAIR.test(first)) return readPairs(words);
  if (words.length > 1) return 'the arguments are one JSON object, or pairs such as path=/srv depth:=2';
  const text =
    first === '-' ? await readAll(stdin) : first.startsWith('@') ? await readNamed(first.slice(1)) : { text: first };
  if (typeof text === 'string') return text;
  const value = parse(text.text);
  if (isObject(value)) return value;
  const what = value === undefined ? 'are no JSON' : 'are no JSON object';
  return `the arguments ${what}; write '{"name": "value"}' or pairs such as name=value`;
}

function readPairs(words: readonly string[]): JsonObject | string {
  const pairs: [string, unknown][] = [];
  for (const word of words) {
    const [, name = '', sign, text = ''] = PAIR.exec(word) ?? [];
    if (name === '') return `"${word.slice(0, 40)}" is no pair; write name=text or name:=JSON`;
    const value = sign === '=' ? text : parse(text);
    if (value === undefined) return `${name}:= needs JSON, such as 2, true or '["a"]'; text is ${name}=…`;
    pairs.push([name, value]);
  }
  return Object.fromEntries(pairs);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function readNamed(path: string): Promise<{ text: string } | string> {
  try {
    return { text: await readFile(path, 'utf8') };
  } catch (error) {
    return `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`;
  }
}

async function readAll(stdin: AsyncIterable<unknown> | undefined): Promise<{ text: string } | string> {
  let text = '';
  for await (const chunk of stdin ?? []) {
    text += String(chunk);
    if (text.length > GATEWAY_BODY_BYTES_MAX) return 'standard input is too long for arguments';
  }
  return { text };
}
