/**
 * Questions of a server to whoever sits at the terminal: the fields of a form, one line each.
 *
 * An empty line takes the default, or leaves a field out that is not required; a wrong value is asked again; the end
 * of input declines. Only forms are asked here: what would need a browser or a model is not declared, so no server
 * may ask it. Questions go to standard error, so that standard output stays the result's.
 * Source: MCP 2026-07-28 client/elicitation, Requested Schema.
 */
import { createInterface } from 'node:readline/promises';

import { isObject } from '../mcp/jsonrpc.ts';
import type { InputRequest, JsonObject } from '../mcp/waist.ts';
import { printable } from './local-command.ts';

/** What `call` declares when somebody sits at the terminal. */
export const PERSON_CAPABILITIES: JsonObject = { elicitation: { form: {} } };

type Ask = (prompt: string) => Promise<string | undefined>;

/** The answers, in the form of `inputResponses`. */
export async function askPerson(
  questions: Readonly<Record<string, InputRequest>>,
  terminal: { readonly input: NodeJS.ReadStream; readonly output: NodeJS.WritableStream },
): Promise<JsonObject> {
  const lines = createInterface(terminal);
  // In raw mode the terminal sends no signal; whoever ends the command listens for one.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<undefined>((done) => void lines.once('close', () => done(undefined)));
  const ask: Ask = (prompt) => Promise.race([lines.question(prompt), closed]);
  try {
    const answers: [string, JsonObject][] = [];
    for (const [key, { params }] of Object.entries(questions)) {
      terminal.output.write(`${printable(textOf(params['message']))}\n`);
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as somebody types
      answers.push([key, await askForm(ask, params['requestedSchema'])]);
    }
    return Object.fromEntries(answers);
  } finally {
    lines.close();
  }
}

async function askForm(ask: Ask, schema: unknown): Promise<JsonObject> {
  const { properties, required } = isObject(schema) ? schema : {};
  const content: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(isObject(properties) ? properties : {})) {
    const isRequired = Array.isArray(required) && required.includes(name);
    // oxlint-disable-next-line no-await-in-loop -- one after the other, as somebody types
    const value = await askField(ask, { name, field: isObject(field) ? field : {}, isRequired });
    if (value === undefined) return { action: 'decline' };
    if (value.given !== undefined) content[name] = value.given;
  }
  return { action: 'accept', content };
}

interface Field {
  readonly name: string;
  readonly field: JsonObject;
  readonly isRequired: boolean;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Undefined when there will be no answer. */
async function askField(ask: Ask, { name, field, isRequired }: Field): Promise<{ given: unknown } | undefined> {
  const hint = hintOf(field);
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- asked again until it fits
    const line = await ask(printable(`  ${name}${isRequired ? '*' : ''}${hint === '' ? '' : ` (${hint})`}: `));
    if (line === undefined) return undefined;
    const text = line.trim();
    if (text === '' && (field['default'] !== undefined || !isRequired)) return { given: field['default'] };
    const given = valueOf(field, text);
    if (given !== undefined) return { given };
  }
}

function hintOf(field: JsonObject): string {
  const choices = choicesOf(field);
  const kind = choices.length > 0 ? choices.join(' | ') : field['type'] === 'boolean' ? 'yes | no' : '';
  const fallback = field['default'] === undefined ? '' : `default ${JSON.stringify(field['default'])}`;
  return [field['description'], kind, fallback].filter((part) => typeof part === 'string' && part !== '').join('; ');
}

function choicesOf(field: JsonObject): string[] {
  if (Array.isArray(field['enum'])) return field['enum'].map(String);
  const titled = Array.isArray(field['oneOf']) ? field['oneOf'] : [];
  if (titled.length > 0) return titled.filter(isObject).map((choice) => String(choice['const']));
  return isObject(field['items']) ? choicesOf({ ...field['items'], oneOf: field['items']['anyOf'] }) : [];
}

/** The value that a line means for a field; undefined when it means none. */
function valueOf(field: JsonObject, text: string): unknown {
  const choices = choicesOf(field);
  switch (field['type']) {
    case 'boolean':
      return /^(?:y|yes|true)$/i.test(text) ? true : /^(?:n|no|false)$/i.test(text) ? false : undefined;
    case 'integer':
    case 'number': {
      const number = text === '' ? Number.NaN : Number(text);
      return Number.isFinite(number) && (field['type'] === 'number' || Number.isInteger(number)) ? number : undefined;
    }
    case 'array': {
      const picked = text.split(',').map((item) => item.trim());
      return picked.every((item) => choices.includes(item)) ? picked : undefined;
    }
    default:
      if (text === '') return undefined;
      return choices.length === 0 || choices.includes(text) ? text : undefined;
  }
}
