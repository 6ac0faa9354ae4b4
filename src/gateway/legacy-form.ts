/**
 * A form of elicitation as a client of 2025-06-18 knows it.
 *
 * Later revisions added choices with titles, choices of several, and defaults for all fields but yes or no. A choice
 * with titles has an older form that says the same (`enum` with `enumNames`); defaults are left out, which are only a
 * hint. A choice of several has no older form: where it is not required it is not asked, where it is the whole form
 * cannot be. Pure. Source: MCP 2025-06-18 and 2025-11-25 schema.ts,
 * PrimitiveSchemaDefinition; SEP-1034, SEP-1330.
 */
import { isObject } from '../mcp/jsonrpc.ts';
import type { JsonObject } from '../mcp/waist.ts';

/** @returns undefined when the form cannot be asked */
export function legacyForm(schema: unknown): unknown {
  if (!isObject(schema) || !isObject(schema['properties'])) return schema;
  const required: unknown[] = Array.isArray(schema['required']) ? schema['required'] : [];
  const properties: [name: string, field: unknown][] = [];
  for (const [name, field] of Object.entries(schema['properties'])) {
    if (!isObject(field) || field['type'] !== 'array') properties.push([name, legacyField(field)]);
    else if (required.includes(name)) return undefined;
  }
  const { $schema: _, ...rest } = schema;
  return { ...rest, properties: Object.fromEntries(properties) };
}

function legacyField(field: unknown): unknown {
  if (!isObject(field) || field['type'] === 'boolean') return field;
  const { default: _, oneOf, ...rest } = field;
  const titled = choicesOf(oneOf);
  if (titled === undefined) return oneOf === undefined ? rest : { ...rest, oneOf };
  return { ...rest, enum: titled.map(({ value }) => value), enumNames: titled.map(({ title }) => title) };
}

function choicesOf(oneOf: unknown): { readonly value: string; readonly title: string }[] | undefined {
  if (!Array.isArray(oneOf)) return undefined;
  const choices = oneOf.filter(isObject).flatMap(({ const: value, title }: JsonObject) => {
    if (typeof value !== 'string') return [];
    return [{ value, title: typeof title === 'string' ? title : value }];
  });
  return choices.length === oneOf.length ? choices : undefined;
}
