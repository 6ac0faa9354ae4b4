/**
 * The environment of a child: a short list of harmless variables of the service, and what the operator configured.
 *
 * Everything else stays here: a child is foreign code, and the service's own environment holds the secrets that
 * the configuration names as `${VAR}`. Listed is what programs need to find themselves (PATH, HOME …), to print
 * (locale, zone, terminal), to place files (TMPDIR, XDG_*, npm's cache, which is read-only by default in a hardened
 * unit) and to trust the machine's private CA. Not listed, though tempting: proxy addresses (they may carry a
 * password), NODE_OPTIONS, other npm_config_* (tokens), SSH_AUTH_SOCK. Who needs one writes it under `env`. Pure.
 */
import type { Secret } from '../model.ts';

const NAMES: ReadonlySet<string> = new Set([
  'HOME',
  'LANG',
  'LANGUAGE',
  'LOGNAME',
  'NODE_EXTRA_CA_CERTS',
  'NPM_CONFIG_CACHE',
  'PATH',
  'SHELL',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'TERM',
  'TMPDIR',
  'TZ',
  'USER',
  'npm_config_cache',
]);
const PREFIXES: readonly string[] = ['LC_', 'XDG_'];
/** Bash exports functions as values that begin so; they are code, not data. */
const BASH_FUNCTION = '()';

/** The base environment out of `ambient`, overlaid with the configured pairs, of which the last of a name wins. */
export function childEnvironment(
  ambient: Readonly<Record<string, string | undefined>>,
  configured: Iterable<readonly [name: string, value: Secret]>,
): Record<string, string> {
  const pairs: (readonly [string, string])[] = [];
  for (const [name, value] of Object.entries(ambient)) {
    if (value !== undefined && isHarmless(name) && !value.startsWith(BASH_FUNCTION)) pairs.push([name, value]);
  }
  for (const [name, value] of configured) pairs.push([name, value.reveal()]);
  return Object.fromEntries(pairs);
}

function isHarmless(name: string): boolean {
  return NAMES.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}
