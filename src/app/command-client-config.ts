/**
 * `mcproxy client-config CLIENT`: what to paste into an MCP client so that it connects here.
 *
 * On stdout stands the thing to paste and nothing else, so that it can be piped; where it goes is said on stderr.
 * The URL is that of the configuration (`public_url`, else what it listens on) unless one is given, for the service may
 * be reached by another name than the one it listens on. Nothing is contacted. Source: the setup pages of the clients.
 */
import { isServerName } from '../config/server-name.ts';
import type { Config } from '../model.ts';
import { findNearest } from '../text/nearest.ts';
import { EXIT, FILE_OPTIONS, textOption, usageError, type Command, type Invocation } from './command.ts';
import { loadNamed } from './named-files.ts';
import { problemsText } from './report.ts';

/** How the client shall see us. */
interface Connection {
  readonly name: string;
  readonly url: string;
  readonly token: string;
}

interface Client {
  /** Where the text goes. */
  readonly where: string;
  readonly print: (connection: Connection) => string;
  /** Runs elsewhere and cannot send a token of its own: it logs in with OAuth (`oauth: facade`). */
  readonly hosted?: true;
}

const TOKEN_VARIABLE = 'MCPROXY_TOKEN';

const CLIENTS: Readonly<Record<string, Client>> = {
  'claude-code': {
    where: 'Run this command.',
    print: ({ name, url, token }) =>
      `claude mcp add --transport http ${name} ${quote(url)} --header ${quote(`Authorization: Bearer ${token}`)}`,
  },
  'claude-desktop': {
    where:
      'Merge this into claude_desktop_config.json (Settings, Developer, Edit Config). It starts mcproxy on that machine;\n' +
      'where only Node is installed: client-config mcp-remote.',
    print: ({ name, url, token }) => json({ mcpServers: { [name]: bridge(url, token) } }),
  },
  'mcp-remote': {
    where: 'For clients that only start commands, on a machine with Node but without mcproxy.',
    print: ({ name, url, token }) => json({ mcpServers: { [name]: foreignBridge(url, token) } }),
  },
  'claude-ai': {
    where:
      'In Claude: Settings, Connectors, Add custom connector. Paste this URL, leave the OAuth fields empty, then Connect:\n' +
      'a page of this service asks for the token.',
    print: ({ url }) => url,
    hosted: true,
  },
  chatgpt: {
    where:
      'In ChatGPT: Settings, Apps & Connectors, Advanced settings, Developer mode; then Create. Paste this URL, choose\n' +
      'OAuth: a page of this service asks for the token.',
    print: ({ url }) => url,
    hosted: true,
  },
  cursor: {
    where: 'Merge this into ~/.cursor/mcp.json, or .cursor/mcp.json of a project.',
    print: ({ name, url, token }) => json({ mcpServers: { [name]: { url, headers: headers(token) } } }),
  },
  vscode: {
    where: 'Merge this into .vscode/mcp.json, or the file that "MCP: Open User Configuration" opens.',
    print: ({ name, url, token }) => json({ servers: { [name]: { type: 'http', url, headers: headers(token) } } }),
  },
  windsurf: {
    where: 'Merge this into ~/.codeium/windsurf/mcp_config.json.',
    print: ({ name, url, token }) => json({ mcpServers: { [name]: { serverUrl: url, headers: headers(token) } } }),
  },
  codex: {
    where: `Run these commands; ${TOKEN_VARIABLE} must also be set whenever codex runs.`,
    print: ({ name, url, token }) =>
      `export ${TOKEN_VARIABLE}=${quote(token)}\n` +
      `codex mcp add ${name} --url ${quote(url)} --bearer-token-env-var ${TOKEN_VARIABLE}`,
  },
  gemini: {
    where: 'Run this command.',
    print: ({ name, url, token }) =>
      `gemini mcp add -s user -t http -H ${quote(`Authorization: Bearer ${token}`)} ${name} ${quote(url)}`,
  },
  json: {
    where: 'The form that most other clients understand.',
    print: ({ name, url, token }) => json({ mcpServers: { [name]: { type: 'http', url, headers: headers(token) } } }),
  },
};
const NAMES = Object.keys(CLIENTS);

export const clientConfigCommand: Command = {
  name: 'client-config',
  synopsis: 'CLIENT [--server NAME] [--url URL] [--token TOKEN]',
  summary: 'Prints what to paste into an MCP client so that it connects here',
  options: {
    server: { type: 'string', value: 'NAME', help: 'connect to this server alone; without it: to all as one' },
    url: { type: 'string', value: 'URL', help: 'where clients reach this service, with or without the path' },
    token: { type: 'string', value: 'TOKEN', help: 'the token of the user; without it the word TOKEN stands there' },
    // `--tokens` is not taken along: it would be one letter away from `--token`.
    config: FILE_OPTIONS.config,
  },
  positionals: { min: 1, max: 1 },
  notes: [`CLIENT: ${NAMES.join(', ')}.`],
  async run(invocation) {
    const wanted = invocation.positionals[0] ?? '';
    const client = Object.hasOwn(CLIENTS, wanted) ? CLIENTS[wanted] : undefined;
    if (client === undefined) return unknownClient(invocation, wanted);
    const server = textOption(invocation, 'server');
    if (server !== undefined && !isServerName(server)) {
      return usageError(invocation.stderr, '--server is the name of a server of the configuration');
    }
    const token = textOption(invocation, 'token') ?? 'TOKEN';
    if (!/^[\x21-\x7e]+$/.test(token)) {
      return usageError(invocation.stderr, '--token is one word of visible ASCII characters');
    }
    const given = textOption(invocation, 'url');
    const asked = { server, hosted: client.hosted === true };
    const url = given === undefined ? await configuredUrl(invocation, asked) : givenUrl(given, server);
    if (typeof url === 'number') return url;
    if (url === undefined) {
      return usageError(invocation.stderr, '--url is an http:// or https:// URL, such as https://mcp.example.com');
    }
    invocation.stdout.write(`${client.print({ name: server ?? 'mcproxy', url, token })}\n`);
    invocation.stderr.write(`${client.where}\n`);
    if (client.hosted !== true && textOption(invocation, 'token') === undefined) {
      invocation.stderr.write('Put a token in the place of TOKEN; `mcproxy token add NAME` makes one.\n');
    }
    return EXIT.ok;
  },
};

function unknownClient(invocation: Invocation, asked: string): number {
  const shown = asked.replaceAll(/\p{Cc}/gu, '·').slice(0, 80);
  const nearest = findNearest(asked, NAMES);
  const hint = nearest === undefined ? `; known are: ${NAMES.join(', ')}` : `; did you mean "${nearest}"?`;
  return usageError(invocation.stderr, `there is no client "${shown}"${hint}`);
}

function pathOf(server: string | undefined): string {
  return server === undefined ? '/mcp' : `/${server}/mcp`;
}

/** A URL that ends in no path of the service gets one; what stands before it is a prefix. */
function givenUrl(given: string, server: string | undefined): string | undefined {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return undefined;
  const [, before = ''] = /^(.*?)\/*$/.exec(url.pathname) ?? [];
  const isWhole = new RegExp(`${server === undefined ? '' : `/${server}`}/(?:mcp|sse)$`).test(before);
  if (!isWhole) url.pathname = before.replace(/\/(?:mcp|sse)$/, '') + pathOf(server);
  return url.href;
}

/** The URL by the configuration; an exit code after what is wrong was printed. */
async function configuredUrl(
  invocation: Invocation,
  { server, hosted }: { readonly server: string | undefined; readonly hosted: boolean },
): Promise<string | number> {
  const { config, problems } = await loadNamed(invocation);
  if (config === undefined) {
    invocation.stderr.write(problemsText(problems.filter((problem) => problem.severity === 'error')));
    return EXIT.config;
  }
  const names = [config, ...config.principals].flatMap(({ servers }) => [...servers.keys()]);
  if (server !== undefined && !names.includes(server)) {
    const nearest = findNearest(server, names);
    const hint = nearest === undefined ? '; mcproxy.yml has none of this name' : `; did you mean "${nearest}"?`;
    return usageError(invocation.stderr, `there is no server "${server}"${hint}`);
  }
  if (hosted) {
    if (config.facade !== undefined) return `${config.facade.issuer}${pathOf(server)}`;
    const text = 'this client cannot send a token; write "oauth: facade" and "public_url" in mcproxy.yml first';
    return usageError(invocation.stderr, text);
  }
  if (config.publicUrl !== undefined) return `${config.publicUrl}${pathOf(server)}`;
  return `http://${reachable(config, invocation)}:${config.listen.port}${config.pathPrefix}${pathOf(server)}`;
}

/** An address that a client on this machine can connect to. */
function reachable(config: Config, invocation: Invocation): string {
  const { host } = config.listen;
  if (host === '0.0.0.0' || host === '::') {
    invocation.stderr.write('This is for clients on this machine; for others add --url http://HOST:PORT.\n');
    return host === '::' ? '[::1]' : '127.0.0.1';
  }
  return host.includes(':') ? `[${host}]` : host;
}

/** For clients that start local commands only. An argument can be seen by everybody on the machine, a variable not. */
function bridge(url: string, token: string): object {
  return { command: 'mcproxy', args: ['stdio', '--url', url], env: { [TOKEN_VARIABLE]: token } };
}

/**
 * The same with what npm offers. Claude Desktop's shell splits arguments at spaces on Windows, so that the header's
 * value comes from the environment; plain HTTP to another machine has to be allowed to the bridge.
 */
function foreignBridge(url: string, token: string): object {
  const { protocol, hostname } = new URL(url);
  const local = hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]';
  const plain = protocol === 'http:' && !local ? ['--allow-http'] : [];
  return {
    command: 'npx',
    args: ['-y', 'mcp-remote', url, '--header', 'Authorization:${AUTH_HEADER}', ...plain],
    env: { AUTH_HEADER: `Bearer ${token}` },
  };
}

function headers(token: string): object {
  return { Authorization: `Bearer ${token}` };
}

function json(value: object): string {
  return JSON.stringify(value, undefined, 2);
}

/** A word for a POSIX shell; double quotes where nothing in it has a meaning, as people know these commands. */
function quote(word: string): string {
  if (/^[\w./:@%+=,-]+$/.test(word)) return word;
  return /["$`\\!]/.test(word) ? `'${word.replaceAll("'", String.raw`'\''`)}'` : `"${word}"`;
}
