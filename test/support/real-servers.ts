/**
 * Twelve published MCP servers as stdio commands: how each is started without network, and one call of each that
 * needs none.
 *
 * Seven are development dependencies. The other five bring too much for that, so they are there only where
 * `installExtraServers` put them. Where no tool works without network or a browser, the call is one that the server
 * itself refuses, which shows as well that it went there and back.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export interface RealServer {
  /** What it is called in the configuration. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly call: RealCall;
}

export interface RealCall {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
  /** Found in the answer as text, whether it is a result or an error. */
  readonly says: RegExp;
}

interface Spec {
  readonly name: string;
  readonly package: string;
  readonly bin: string;
  /** Given where the package is not a development dependency. */
  readonly version?: string;
  readonly args?: (dir: string) => readonly string[];
  readonly env?: (dir: string) => Readonly<Record<string, string>>;
  readonly call: RealCall | ((dir: string) => RealCall);
}

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Requests to the outside end at once, whether or not the machine has a network. */
const NO_NETWORK = { HTTP_PROXY: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9', NO_PROXY: '' };

const LOCAL: readonly Spec[] = [
  {
    name: 'everything',
    package: '@modelcontextprotocol/server-everything',
    bin: 'dist/index.js',
    call: { name: 'echo', arguments: { message: 'grüße' }, says: /Echo: grüße/ },
  },
  {
    name: 'filesystem',
    package: '@modelcontextprotocol/server-filesystem',
    bin: 'dist/index.js',
    args: (dir) => [dir],
    call: (dir) => ({ name: 'list_allowed_directories', arguments: {}, says: new RegExp(`directories:.*${dir}`) }),
  },
  {
    name: 'memory',
    package: '@modelcontextprotocol/server-memory',
    bin: 'dist/index.js',
    env: (dir) => ({ MEMORY_FILE_PATH: join(dir, 'memory.jsonl') }),
    call: {
      name: 'read_graph',
      arguments: {},
      says: /entities.*relations/,
    },
  },
  {
    name: 'thinking',
    package: '@modelcontextprotocol/server-sequential-thinking',
    bin: 'dist/index.js',
    call: {
      name: 'sequentialthinking',
      arguments: { thought: 'first', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 },
      says: /thoughtHistoryLength/,
    },
  },
  {
    name: 'github',
    package: '@modelcontextprotocol/server-github',
    bin: 'dist/index.js',
    call: { name: 'create_issue', arguments: { owner: 'a' }, says: /Invalid input.*\brepo\b/ },
  },
  {
    name: 'context7',
    package: '@upstash/context7-mcp',
    bin: 'dist/index.js',
    call: { name: 'resolve-library-id', arguments: {}, says: /libraryName/ },
  },
  {
    name: 'notion',
    package: '@notionhq/notion-mcp-server',
    bin: 'bin/cli.mjs',
    env: () => ({ NOTION_TOKEN: 'none' }),
    call: { name: 'API-get-self', arguments: {}, says: /ECONNREFUSED/ },
  },
];

const EXTRA: readonly (Spec & { readonly version: string })[] = [
  {
    name: 'playwright',
    package: '@playwright/mcp',
    version: '0.0.83',
    bin: 'cli.js',
    args: () => ['--headless', '--executable-path', '/nowhere/browser'],
    call: { name: 'browser_navigate', arguments: { url: 'about:blank' }, says: /nowhere.browser/ },
  },
  {
    name: 'devtools',
    package: 'chrome-devtools-mcp',
    version: '1.11.0',
    bin: 'build/src/bin/chrome-devtools-mcp.js',
    args: () => ['--headless', '--executablePath', '/nowhere/browser', '--no-usage-statistics'],
    call: { name: 'list_pages', arguments: {}, says: /nowhere.browser/ },
  },
  {
    name: 'git',
    package: '@cyanheads/git-mcp-server',
    version: '2.15.3',
    bin: 'dist/index.js',
    env: (dir) => ({ MCP_TRANSPORT_TYPE: 'stdio', LOGS_DIR: dir }),
    call: (dir) => ({ name: 'git_status', arguments: { path: dir }, says: /not a git repository/i }),
  },
  {
    name: 'eslint',
    package: '@eslint/mcp',
    version: '0.3.13',
    bin: 'src/mcp-cli.js',
    call: { name: 'lint-files', arguments: {}, says: /filePaths/ },
  },
  {
    name: 'chart',
    package: '@antv/mcp-server-chart',
    version: '0.9.10',
    bin: 'build/index.js',
    call: { name: 'generate_area_chart', arguments: {}, says: /ECONNREFUSED/ },
  },
];

/** The servers that are development dependencies. @param dir where they may write */
export function localServers(dir: string): RealServer[] {
  return LOCAL.map((spec) => commandOf(spec, join(ROOT, 'node_modules'), dir));
}

/** The five that `installExtraServers` put under `prefix`. @param dir where they may write */
export function extraServers(prefix: string, dir: string): RealServer[] {
  return EXTRA.map((spec) => commandOf(spec, join(prefix, 'node_modules'), dir));
}

/** Installs the five servers under `prefix` from the registry that npm is configured with; no script of theirs runs. */
export function installExtraServers(prefix: string): void {
  const packages = EXTRA.map((spec) => `${spec.package}@${spec.version}`);
  const options = ['--prefix', prefix, '--ignore-scripts', '--no-audit', '--no-fund', '--no-save'];
  execFileSync('npm', ['install', ...options, ...packages], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function commandOf(spec: Spec, modules: string, dir: string): RealServer {
  const home = join(modules, spec.package);
  const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string };
  if (spec.version !== undefined && version !== spec.version) {
    throw new Error(`${spec.package} is ${version}, not ${spec.version}`);
  }
  return {
    name: spec.name,
    command: process.execPath,
    args: [join(home, spec.bin), ...(spec.args?.(dir) ?? [])],
    env: { ...NO_NETWORK, ...spec.env?.(dir) },
    call: typeof spec.call === 'function' ? spec.call(dir) : spec.call,
  };
}
