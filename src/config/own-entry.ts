/**
 * Whether the entry of a client is mcproxy itself: taken over, the service would be a server of its own.
 *
 * That is a command that starts mcproxy over the configuration here, by name, by path or with a package runner, and a URL
 * of this service, also as an argument of a bridge. A bridge to a service elsewhere is a server like any other. Pure;
 * names are not resolved.
 */
import type { Config } from '../model.ts';
import type { Plain } from './edit-servers.ts';

const RUNNERS = /(?:^|[\\/])(?:npx|bunx|pnpx|pnpm|yarn|node|bun)(?:\.cmd|\.exe)?$/;
const OURSELVES = /(?:^|[\\/])mcproxy(?:\.c?js|\.cmd|\.exe)?(?:@[\w.-]+)?$/;
const ANY_HOST: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]', '::1']);

/** @param config what runs here; undefined when its files cannot be used, and then no URL is known as ours */
export function isOwnEntry(fields: Readonly<Record<string, Plain>>, config: Config | undefined): boolean {
  const { command, url } = fields;
  const args = (Array.isArray(fields['args']) ? fields['args'] : []).map(String);
  const urls = [...(typeof url === 'string' ? [url] : []), ...args].map((word) => word.replace(/^--?[\w-]+=/, ''));
  if (urls.some((word) => isOwnUrl(word, config))) return true;
  if (typeof command !== 'string') return false;
  const isBridge = args.some((word) => /^--url(?:=|$)/.test(word));
  return !isBridge && isOwnCommand(command, args);
}

function isOwnCommand(command: string, args: readonly string[]): boolean {
  if (OURSELVES.test(command)) return true;
  // The first word that is no option, or a script runner's verb, is what is run.
  const run = args.find((word) => !word.startsWith('-') && word !== 'exec' && word !== 'dlx');
  return RUNNERS.test(command) && run !== undefined && OURSELVES.test(run);
}

function isOwnUrl(word: string, config: Config | undefined): boolean {
  if (config === undefined || !/^https?:/i.test(word) || !URL.canParse(word)) return false;
  const url = new URL(word);
  const { listen, publicUrl, pathPrefix } = config;
  if (publicUrl !== undefined && URL.canParse(publicUrl)) {
    const own = new URL(publicUrl);
    if (url.origin === own.origin && isBelow(url.pathname, own.pathname)) return true;
  }
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  return port === listen.port && isOwnHost(url.hostname, listen.host) && isBelow(url.pathname, pathPrefix);
}

function isOwnHost(asked: string, listening: string): boolean {
  if (asked === listening || asked === `[${listening}]`) return true;
  return LOOPBACK.has(asked) && (ANY_HOST.has(listening) || LOOPBACK.has(listening));
}

function isBelow(path: string, prefix: string): boolean {
  const base = prefix.replace(/\/$/, '');
  return path === base || path.startsWith(`${base}/`);
}
