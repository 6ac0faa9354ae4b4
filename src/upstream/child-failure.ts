/**
 * Why a child could not be started, in words that say what to do.
 *
 * The system's answer is ambiguous: ENOENT is a missing command, a missing working directory or a script whose
 * interpreter is missing; EACCES a file that is not executable or a directory that may not be entered. So the disk
 * is asked afterwards. Arguments and environment values never appear in the text, because they may be secrets.
 */
import { existsSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

import { ProxyError } from '../errors.ts';
import type { StdioServerConfig } from '../model.ts';

/** UPSTREAM_UNREACHABLE for an error of `spawn`; `path` is the child's PATH. */
export function spawnFailure(server: StdioServerConfig, error: unknown, path: string | undefined): ProxyError {
  const { code, errno } = error as NodeJS.ErrnoException;
  const why = explainDirectory(server.cwd) ?? explainCommand(server, code, path) ?? explainCode(code);
  // Errors about arguments print the argument itself; only those of the system are fit for the log.
  const cause = typeof errno === 'number' ? { cause: error } : {};
  return new ProxyError('UPSTREAM_UNREACHABLE', `server ${server.name} cannot be started: ${why}`, cause);
}

function explainDirectory(cwd: string | undefined): string | undefined {
  if (cwd === undefined) return undefined;
  const stats = statSync(cwd, { throwIfNoEntry: false });
  if (stats === undefined) return `its working directory ${quoted(cwd)} does not exist; correct \`cwd\``;
  return stats.isDirectory() ? undefined : `its working directory ${quoted(cwd)} is not a directory; correct \`cwd\``;
}

function explainCommand(
  server: StdioServerConfig,
  code: string | undefined,
  path: string | undefined,
): string | undefined {
  const command = `the command ${quoted(server.command)}`;
  if (code === 'EACCES' || code === 'EPERM') {
    return `${command} is not executable for mcproxy, or \`cwd\` may not be entered; check the permissions`;
  }
  if (code !== 'ENOENT') return undefined;
  if (findCommand(server, path) !== undefined) {
    return `${command} is a script whose interpreter (its first line) does not exist; install that`;
  }
  if (server.command.includes('/')) return `${command} does not exist; correct the path`;
  return `${command} was not found in PATH; install it, or write its full path`;
}

function findCommand({ command, cwd }: StdioServerConfig, path: string | undefined): string | undefined {
  const base = cwd ?? '.';
  const directories = command.includes('/') ? [''] : (path ?? '').split(delimiter).filter((each) => each !== '');
  return directories.map((directory) => resolve(base, join(directory, command))).find((file) => existsSync(file));
}

const REASONS: Readonly<Record<string, string>> = {
  E2BIG: 'its arguments and environment are longer than the system allows',
  EAGAIN: 'the limit of processes is reached (TasksMax of the unit, `ulimit -u`)',
  EMFILE: 'mcproxy has too many files open (LimitNOFILE of the unit, `ulimit -n`)',
  ENFILE: 'the system has too many files open',
  ENOEXEC: 'the command is no program for this machine; a script needs a first line such as #!/bin/sh',
  ENOMEM: 'there is not enough memory',
  ENOTDIR: 'a part of the path of its command is not a directory',
  ERR_INVALID_ARG_VALUE: 'its command, arguments, `cwd` or `env` hold a NUL character',
};

function explainCode(code: string | undefined): string {
  return REASONS[code ?? ''] ?? `the system refused it (${code ?? 'unknown error'})`;
}

function quoted(text: string): string {
  return `"${text.replaceAll(/\p{Cc}/gu, '·')}"`;
}
