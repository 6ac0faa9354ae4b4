/**
 * The Debian packages: a staged tree from `packaging/`, the README and what is generated, packed by dpkg-deb.
 *
 * Every file gets the time of the commit and the owner root, and the compression a fixed number of threads, so that the
 * same commit gives the same bytes. Which file becomes what stands in one table; the scripts that dpkg runs are those in
 * `packaging/debian`. @see Debian Policy, deb-control(5)
 */
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { lstatSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { debianChangelog } from './changelog.ts';
import { bashCompletion, fishCompletion, zshCompletion } from './completions.ts';
import { manualPage } from './manual.ts';
import { fetchRuntime, NODE_VERSION, type Architecture } from './node-runtime.ts';
import { runTool } from './run-tool.ts';
import type { Identity } from './version.ts';

export interface DebianOptions {
  readonly root: string;
  readonly outDir: string;
  readonly identity: Identity;
  /** Seconds since the epoch, for every file. */
  readonly epoch: number;
  readonly architecture: Architecture;
  readonly executable: string;
  readonly compression: 'xz' | 'gzip';
}

export const DEBIAN_ARCHITECTURE = { x64: 'amd64', arm64: 'arm64' } as const;

/** Source below `packaging/`, place in the package, mode. */
const FILES = [
  ['etc/mcproxy.yml', 'etc/mcproxy/mcproxy.yml', 0o640],
  ['etc/tokens.yml', 'usr/share/mcproxy/tokens.yml', 0o644],
  ['etc/sysusers.conf', 'usr/lib/sysusers.d/mcproxy.conf', 0o644],
  ['etc/logrotate', 'etc/logrotate.d/mcproxy', 0o644],
  ['systemd/mcproxy.service', 'usr/lib/systemd/system/mcproxy.service', 0o644],
  ['systemd/mcproxy.socket', 'usr/lib/systemd/system/mcproxy.socket', 0o644],
  ['systemd/strict.conf', 'usr/share/doc/mcproxy/examples/strict.conf', 0o644],
  ['systemd/credentials.conf', 'usr/share/doc/mcproxy/examples/credentials.conf', 0o644],
  ['haproxy.cfg', 'usr/share/doc/mcproxy/examples/haproxy.cfg', 0o644],
  ['nginx.conf', 'usr/share/doc/mcproxy/examples/nginx.conf', 0o644],
  ['debian/lintian-overrides', 'usr/share/lintian/overrides/mcproxy', 0o644],
] as const;

const SCRIPTS = ['postinst', 'prerm', 'postrm'] as const;
const DOC = 'usr/share/doc/mcproxy';

/** Writes `mcproxy_<version>_<architecture>.deb` into `outDir` and returns its path. */
export function buildDebianPackage(options: DebianOptions): string {
  const { identity, epoch, outDir } = options;
  const work = mkdtempSync(join(tmpdir(), 'mcproxy-build-'));
  const architecture = DEBIAN_ARCHITECTURE[options.architecture];
  try {
    const stage = join(work, 'stage');
    const put = (path: string, content: string | Uint8Array, mode = 0o644): void =>
      place(stage, path, { content, mode });
    for (const [from, to, mode] of FILES) put(to, readFileSync(join(options.root, 'packaging', from)), mode);
    mkdirSync(join(stage, 'usr/bin'), { recursive: true });
    copyFileSync(options.executable, join(stage, 'usr/bin/mcproxy'));
    const date = new Date(epoch * 1_000);
    put('usr/share/man/man8/mcproxy.8.gz', gzip(manualPage(identity.version, date.toISOString().slice(0, 10))));
    put('usr/share/bash-completion/completions/mcproxy', bashCompletion());
    put('usr/share/zsh/vendor-completions/_mcproxy', zshCompletion());
    put('usr/share/fish/vendor_completions.d/mcproxy.fish', fishCompletion());
    put(`${DOC}/copyright`, copyright(options));
    put(`${DOC}/changelog.gz`, gzip(debianChangelog(readFileSync(join(options.root, 'CHANGELOG.md'), 'utf8'))));
    put(`${DOC}/README.md`, readFileSync(join(options.root, 'README.md')));
    put(`${DOC}/SETUP.md`, readFileSync(join(options.root, 'packaging/README.md')));
    const installed = listFiles(stage);
    settleModes(stage);
    writeControl(options, { stage, installed });
    settleTimes(stage, date);
    const target = join(outDir, `mcproxy_${identity.version}_${architecture}.deb`);
    const level = options.compression === 'gzip' ? ['-z1'] : [];
    const how = ['--root-owner-group', `-Z${options.compression}`, ...level, '--threads-max=2'];
    const env = { SOURCE_DATE_EPOCH: String(epoch) };
    runTool(['dpkg-deb', ...how, '--build', stage, `${target}.making`], { env, install: 'apt install dpkg' });
    renameSync(`${target}.making`, target);
    return target;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function place(stage: string, path: string, { content, mode }: { content: string | Uint8Array; mode: number }): void {
  const target = join(stage, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
  chmodSync(target, mode);
}

function gzip(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}

function writeControl(options: DebianOptions, { stage, installed }: { stage: string; installed: string[] }): void {
  const { root, identity } = options;
  const put = (name: string, content: string, mode: number): void => place(stage, `DEBIAN/${name}`, { content, mode });
  const bytes = installed.reduce((sum, path) => sum + lstatSync(join(stage, path)).size, 0);
  const control = fill(readFileSync(join(root, 'packaging/debian/control'), 'utf8'), {
    VERSION: identity.version,
    ARCHITECTURE: DEBIAN_ARCHITECTURE[options.architecture],
    SIZE: String(Math.ceil(bytes / 1_024)),
  });
  put('control', control, 0o644);
  const conffiles = installed.filter((path) => path.startsWith('etc/'));
  put('conffiles', conffiles.map((path) => `/${path}\n`).join(''), 0o644);
  const sums = installed
    .filter((path) => !path.startsWith('etc/'))
    .map((path) => `${md5(join(stage, path))}  ${path}\n`);
  put('md5sums', sums.join(''), 0o644);
  for (const name of SCRIPTS) put(name, readFileSync(join(root, 'packaging/debian', name), 'utf8'), 0o755);
}

/** What dpkg --verify compares with. */
function md5(path: string): string {
  return createHash('md5').update(readFileSync(path)).digest('hex');
}

/** The machine-readable copyright file, with the licences of mcproxy and of what Node contains in full. */
function copyright({ root, architecture }: DebianOptions): string {
  const indented = (path: string): string =>
    readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
      .join('\n');
  return fill(readFileSync(join(root, 'packaging/debian/copyright'), 'utf8'), {
    NODE_VERSION,
    MIT: indented(join(root, 'LICENSE')),
    NODE: indented(fetchRuntime(architecture).license),
  });
}

/** The text with each `@NAME@` replaced. @throws {Error} when one is left */
function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/@([A-Z_]+)@/g, (_whole, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`packaging/debian: nobody fills in @${name}@`);
    return value;
  });
}

/** Paths of all files below `stage`, relative to it, sorted. */
function listFiles(stage: string): string[] {
  return readdirSync(stage, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(stage.length + 1))
    .toSorted();
}

/** Directories do not depend on the umask of who builds. */
function settleModes(stage: string): void {
  chmodSync(stage, 0o755);
  for (const entry of readdirSync(stage, { recursive: true, withFileTypes: true }))
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755);
  chmodSync(join(stage, 'etc/mcproxy'), 0o750);
  chmodSync(join(stage, 'usr/bin/mcproxy'), 0o755);
}

function settleTimes(stage: string, date: Date): void {
  const entries = readdirSync(stage, { recursive: true, withFileTypes: true });
  for (const entry of entries) utimesSync(join(entry.parentPath, entry.name), date, date);
  utimesSync(stage, date, date);
}
