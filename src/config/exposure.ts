/**
 * What clients see of a server, from its options to `ExposureConfig`: prefix, filters, names, texts, arguments.
 *
 * Patterns go by the server's own names, which nobody knows yet, so a rule for a tool that does not exist is no
 * problem; one that can never apply, or that contradicts another, is. What a draft says wins over its base option by
 * option, so that a user who is shown less is still refused what all are refused.
 */
import { EXPOSED_NAME_CHARS_MAX } from '../limits.ts';
import type { ArgumentRule, ExposureConfig, ItemFilter } from '../model.ts';
import { isGlob, passesGlobs } from '../text/glob.ts';
import { interpolate } from '../text/interpolate.ts';
import { findNearest } from '../text/nearest.ts';
import type { YamlNode, YamlPair } from '../text/yaml.ts';
import { reportUnknownKey, type Decoded } from './decode.ts';
import { READERS } from './kinds.ts';
import { shownName, showName } from './problems.ts';
import { isNothing, readText, type Reading } from './reading.ts';
import { EXPOSURE } from './schema-exposure.ts';
import { isSecretName } from './secrecy.ts';

/** The options of one server; what is not written is undefined. */
export interface ExposureSaid {
  readonly fields: Decoded<typeof EXPOSURE>;
  readonly rename: ExposureConfig['rename'] | undefined;
  readonly describe: ExposureConfig['describe'] | undefined;
  readonly arguments: readonly ArgumentRule[] | undefined;
}

export const NOTHING_SAID: ExposureSaid = {
  fields: {},
  rename: undefined,
  describe: undefined,
  arguments: undefined,
};

const ALL: ItemFilter = { allow: undefined, deny: [] };
const SHOWN_NAME = new RegExp(`^[A-Za-z0-9_.-]{1,${EXPOSED_NAME_CHARS_MAX}}$`);
const MODES = { force: 'forced', default: 'default' } as const;

/** Everything of the server under its own name. */
export function plainExposure(serverName: string): ExposureConfig {
  return { prefix: serverName, tools: ALL, prompts: ALL, resources: ALL, rename: [], describe: [], arguments: [] };
}

/** Whether something of the server is hidden or changed, its prefix aside. */
export function changesItems(exposure: ExposureConfig): boolean {
  const filters = [exposure.tools, exposure.prompts, exposure.resources];
  const lists = [exposure.rename, exposure.describe, exposure.arguments, ...filters.map(({ deny }) => deny)];
  return filters.some(({ allow }) => allow !== undefined) || lists.some((list) => list.length > 0);
}

/** The first option that hides or changes something. */
export function placeOfChange({ fields }: ExposureSaid): YamlNode | undefined {
  const names = Object.keys(EXPOSURE) as (keyof typeof EXPOSURE)[];
  return names.flatMap((name) => (name === 'prefix' ? [] : (fields[name]?.at ?? [])))[0];
}

/** Decodes what `decodeMap` left as nodes, and reports what contradicts itself. */
export function decodeExposure(reading: Reading, fields: Decoded<typeof EXPOSURE>): ExposureSaid {
  const described = fields['tools.describe'];
  const said: ExposureSaid = {
    fields,
    rename: decodeRename(reading, fields['tools.rename']?.value),
    describe: described && readNamed(reading, described.value, { option: 'tools.describe', expects: 'a text' }),
    arguments: decodeArguments(reading, fields['tools.arguments']?.value),
  };
  warnOfHidden(reading, said);
  return said;
}

export function resolveExposure(
  said: ExposureSaid,
  on: { readonly serverName: string; readonly base: ExposureConfig | undefined },
): ExposureConfig {
  const { serverName, base = plainExposure(serverName) } = on;
  const { fields } = said;
  const filter = (kind: 'tools' | 'prompts' | 'resources'): ItemFilter => ({
    allow: fields[`${kind}.allow`]?.value ?? base[kind].allow,
    deny: fields[`${kind}.deny`]?.value ?? base[kind].deny,
  });
  return {
    prefix: fields.prefix?.value ?? base.prefix,
    tools: filter('tools'),
    prompts: filter('prompts'),
    resources: filter('resources'),
    rename: said.rename ?? base.rename,
    describe: said.describe ?? base.describe,
    arguments: said.arguments ?? base.arguments,
  };
}

function decodeRename(reading: Reading, node: YamlNode | undefined): ExposureConfig['rename'] | undefined {
  if (node === undefined) return undefined;
  const expects = `1 to ${EXPOSED_NAME_CHARS_MAX} of the characters A-Z a-z 0-9 _ . -`;
  const rename = readNamed(reading, node, { option: 'tools.rename', expects, allowed: SHOWN_NAME });
  const owners = new Map<string, string>(); // Bounded by CONFIG_BYTES_MAX.
  for (const [own, shown] of rename) {
    const other = owners.get(shown);
    if (other !== undefined) {
      reading.problems.error(valueOf(node, own), {
        text: `${showName(own)} and ${showName(other)} get the same name`,
        fix: 'give each tool a name of its own',
        shown: shownName(shown),
      });
    }
    owners.set(shown, own);
  }
  return rename;
}

interface NamedOption {
  readonly option: string;
  readonly expects: string;
  readonly allowed?: RegExp;
}

/** A map from whole names of tools to texts. */
function readNamed(reading: Reading, node: YamlNode, what: NamedOption): (readonly [string, string])[] {
  return pairsOf(reading, node, what.option).flatMap((pair) => {
    const tool = readToolName(reading, pair);
    if (tool === undefined) return [];
    if (isGlob(tool)) {
      reading.problems.error(pair.key, {
        text: `a pattern cannot stand in "${what.option}"`,
        fix: 'write the whole name of one tool',
        shown: shownName(tool),
      });
      return [];
    }
    const text = readOpen(reading, pair.value);
    const valid = text !== undefined && (what.allowed?.test(text) ?? true);
    if (valid) return [[tool, text] as const];
    if (text !== undefined || pair.value.kind !== 'scalar' || pair.value.value === null) {
      reading.problems.error(pair.value, {
        text: `${showName(tool)} of "${what.option}" is not valid`,
        fix: `write ${what.expects}`,
      });
    }
    return [];
  });
}

function decodeArguments(reading: Reading, node: YamlNode | undefined): readonly ArgumentRule[] | undefined {
  if (node === undefined) return undefined;
  return pairsOf(reading, node, 'tools.arguments').flatMap((entry) => {
    const tool = readToolName(reading, entry);
    if (tool === undefined) return [];
    return pairsOf(reading, entry.value, 'tools.arguments').flatMap((pair) => {
      const said = readArgument(reading, pair);
      return said === undefined ? [] : [{ tool, argument: pair.name, ...said }];
    });
  });
}

function readArgument(reading: Reading, pair: YamlPair): Pick<ArgumentRule, 'mode' | 'value'> | undefined {
  const { value: node } = pair;
  if (isNothing(node)) {
    reading.problems.error(node, {
      text: `${showName(pair.name)} has no value`,
      fix: 'write one; {force: null} forces null, and "" is the empty text',
    });
    return undefined;
  }
  if (node.kind !== 'map') return valued('forced', readJson(reading, node, isSecretName(pair.name)));
  const misspelt = node.pairs.find(
    ({ name }) => !Object.hasOwn(MODES, name) && findNearest(name, Object.keys(MODES)) !== undefined,
  );
  if (misspelt !== undefined) {
    reportUnknownKey(reading, misspelt, { names: Object.keys(MODES), foreign: false });
    return undefined;
  }
  const [first, second] = node.pairs;
  const name = first?.name === 'force' || first?.name === 'default' ? first.name : undefined;
  if (first !== undefined && second === undefined && name !== undefined) {
    return valued(MODES[name], readJson(reading, first.value, isSecretName(pair.name)));
  }
  reading.problems.error(node, {
    text: `${showName(pair.name)} must be a value, or a map of "force" or "default" alone`,
    fix: 'write {force: VALUE} for a value that is a map itself',
  });
  return undefined;
}

function valued(
  mode: ArgumentRule['mode'],
  read: { readonly value: unknown } | undefined,
): Pick<ArgumentRule, 'mode' | 'value'> | undefined {
  return read === undefined ? undefined : { mode, value: read.value };
}

/** The JSON value of a node; undefined after a problem was reported. A text with a variable stays a text. */
function readJson(reading: Reading, node: YamlNode, secret: boolean): { readonly value: unknown } | undefined {
  if (node.kind === 'seq') {
    const items = node.items.map((item) => readJson(reading, item, secret));
    return items.includes(undefined) ? undefined : { value: items.map((item) => item?.value) };
  }
  if (node.kind === 'map') {
    const members = node.pairs.map(
      ({ name, value }) => [name, readJson(reading, value, secret || isSecretName(name))] as const,
    );
    if (members.some(([, read]) => read === undefined)) return undefined;
    return { value: Object.fromEntries(members.map(([name, read]) => [name, read?.value])) };
  }
  if (typeof node.value !== 'string') {
    if (typeof node.value === 'number' && !Number.isFinite(node.value)) {
      reading.problems.error(node, { text: 'JSON has no such number', fix: 'write a finite one, or a text' });
      return undefined;
    }
    return { value: node.value };
  }
  const text = secret ? readText(reading, node, 'secret') : readOpen(reading, node);
  return text === undefined ? undefined : { value: text };
}

/** A text that is no secret, but for what variables bring in whose names give them away. */
function readOpen(reading: Reading, node: YamlNode): string | undefined {
  if (node.kind === 'scalar' && typeof node.value === 'string') {
    for (const { name, value } of interpolate(node.value, reading.lookup).variables) {
      if (isSecretName(name)) reading.secrets.add(value);
    }
  }
  return readText(reading, node, 'open');
}

function readToolName(reading: Reading, { key, name }: YamlPair): string | undefined {
  if (READERS.glob.read(name) !== undefined) return name;
  reading.problems.error(key, { text: 'this cannot be the name of a tool', fix: `write ${READERS.glob.expects}` });
  return undefined;
}

function pairsOf(reading: Reading, node: YamlNode, option: string): readonly YamlPair[] {
  if (node.kind === 'map') return node.pairs;
  if (!isNothing(node))
    reading.problems.error(node, { text: `"${option}" must be a map`, fix: 'write NAME: VALUE lines under it' });
  return [];
}

function valueOf(node: YamlNode, name: string): YamlNode {
  return (node.kind === 'map' ? node.pairs.find((pair) => pair.name === name)?.value : undefined) ?? node;
}

/** A rule for one tool that the filter of the same server hides. */
function warnOfHidden(reading: Reading, { fields }: ExposureSaid): void {
  const { value: allow } = fields['tools.allow'] ?? {};
  const { value: deny = [] } = fields['tools.deny'] ?? {};
  for (const option of ['tools.rename', 'tools.describe', 'tools.arguments'] as const) {
    const node = fields[option]?.value;
    for (const { key, name } of node?.kind === 'map' ? node.pairs : []) {
      if (isGlob(name) || passesGlobs({ allow, deny }, name)) continue;
      reading.problems.warning(key, {
        text: `${showName(name)} is hidden by "tools.allow" or "tools.deny", so "${option}" does nothing for it`,
        fix: 'delete it, or let the filter show it',
        shown: shownName(name),
      });
    }
  }
}
