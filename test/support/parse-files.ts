/**
 * Config parsing for tests: texts in, the result out, with the operating system's part played in memory.
 *
 * Paths resolve below `/etc/mcproxy`; the hash is the real one, so that digests can be compared with `digestOf`.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';

import type { Overrides } from '../../src/config/environment.ts';
import { parseConfig, type ParseResult, type SourceFile } from '../../src/config/parse.ts';
import type { Config, Problem, ServerConfig } from '../../src/model.ts';

export interface TestInput {
  readonly config?: string;
  readonly tokens?: string;
  /** Further files, after the two above. */
  readonly files?: readonly SourceFile[];
  readonly env?: Readonly<Record<string, string>>;
  readonly overrides?: Overrides;
  /** By path or by the name of a credential. */
  readonly secrets?: Readonly<Record<string, string>>;
}

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function parseFiles(input: TestInput): ParseResult {
  const files: SourceFile[] = [...(input.files ?? [])];
  if (input.tokens !== undefined)
    files.unshift({ path: '/etc/mcproxy/tokens.yml', text: input.tokens, role: 'tokens' });
  if (input.config !== undefined)
    files.unshift({ path: '/etc/mcproxy/mcproxy.yml', text: input.config, role: 'config' });
  return parseConfig({
    files,
    env: input.env ?? {},
    hostname: 'raspberrypi',
    ...(input.overrides === undefined ? {} : { overrides: input.overrides }),
    resolvePath: (base, path) => resolve(base === '' ? '/cwd' : dirname(base), path),
    readSecret: ({ name }) => {
      const text = input.secrets?.[name];
      return text === undefined ? { problem: `${name} does not exist`, fix: 'make it' } : { text };
    },
    sha256: digestOf,
  });
}

/** The Config of files that must be valid; warnings are allowed. */
export function validConfig(input: TestInput): Config {
  const { config, problems } = parseFiles(input);
  if (config === undefined) throw new Error(`not valid:\n${problems.map(oneLine).join('\n')}`);
  return config;
}

/** `severity line:column text | fix`. */
export function oneLine(problem: Problem): string {
  const { severity, position, text, fix } = problem;
  return `${severity} ${position === undefined ? '-' : `${position.line}:${position.column}`} ${text} | ${fix ?? ''}`;
}

/** Checks that one of the errors of a configuration, as a line, is this, so that there is no configuration. */
export function assertRefused(config: string, problem: RegExp): void {
  const result = parseFiles({ config });
  assert.equal(result.config, undefined);
  const lines = result.problems.map(oneLine).filter((line) => line.startsWith('error'));
  assert.ok(
    lines.some((line) => problem.test(line)),
    lines.join('\n'),
  );
}

/** A server that must be there. */
export function serverOf(servers: ReadonlyMap<string, ServerConfig>, name: string): ServerConfig {
  const server = servers.get(name);
  if (server === undefined) throw new Error(`no server ${name} among ${[...servers.keys()].join(', ')}`);
  return server;
}

/** A value with its secrets revealed and its maps made plain objects, for comparing. */
export function revealed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('reveal' in value && typeof value.reveal === 'function') return value.reveal();
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [key, revealed(member)]));
  if (Array.isArray(value)) return value.map(revealed);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, revealed(member)]));
}

/** The members of `value` that `like` has too, deeply, for comparing a part. Lists are compared whole. */
export function pick(value: unknown, like: unknown): unknown {
  if (!isRecord(value) || !isRecord(like)) return value;
  return Object.fromEntries(Object.keys(like).map((key) => [key, pick(value[key], like[key])]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
