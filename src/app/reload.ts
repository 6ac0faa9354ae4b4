/**
 * What a reload is asked and answers, in the words of those who asked: the admin socket, a signal, a saved file.
 *
 * Applying a configuration is the app's; here are the shapes of it and the answers for the ways in which it fails.
 * No answer contains more of a file than `config/problems` lets through.
 */
import { ProxyError } from '../errors.ts';
import type { Config, Problem } from '../model.ts';

export interface ReloadResult {
  readonly ok: boolean;
  /** One plain line per change. */
  readonly changes: readonly string[];
  readonly problems: readonly Problem[];
  readonly dryRun: boolean;
}

export interface ReloadOptions {
  readonly dryRun: boolean;
  readonly cause: 'signal' | 'file' | 'admin';
}

/** @throws {ProxyError} LISTEN_FAILED always */
export function giveUpPort(config: Config, before: Config): never {
  const { host, port } = config.listen;
  const why =
    port === before.listen.port
      ? `cannot be opened while mcproxy listens on ${before.listen.host}:${port}; restart it to change only the host`
      : 'is in use by another process; stop it or set another `listen`';
  throw new ProxyError('LISTEN_FAILED', `${host}:${port} ${why}`);
}

/** What went wrong while a configuration without problems was applied, as a problem. */
export function failureProblem(file: string, thrown: unknown): Problem {
  const text = thrown instanceof ProxyError ? thrown.message : String(thrown);
  return { severity: 'error', file, position: undefined, excerpt: undefined, text, fix: undefined };
}

/** The answer to a reload that comes too late. */
export function stopping({ dryRun }: ReloadOptions): ReloadResult {
  return { ok: false, changes: [], problems: [failureProblem('', 'mcproxy is stopping')], dryRun };
}

/** What the diagnostic log says about a configuration that was rejected. */
export function rejectionFields(problems: readonly Problem[], { cause }: ReloadOptions) {
  const errors = problems.filter((problem) => problem.severity === 'error');
  const [first] = errors;
  const at = first?.position === undefined ? '' : `:${first.position.line}:${first.position.column}`;
  return {
    cause,
    problems: errors.length,
    first: first === undefined ? 'unknown' : `${first.file}${at}: ${first.text}`,
  };
}
