/**
 * Redirect URIs: which ones a client may have, and whether the one of a request is among them.
 *
 * Compared as texts, without any normalising (RFC 9700 §2.1, OAuth 2.1 §2.3.1); of a loopback URI the port may differ,
 * because a program takes the one that is free when it starts (RFC 8252 §7.3). A URI of a program's own scheme is
 * allowed, since desktop clients have them; schemes that browsers keep for themselves are not.
 */

const VISIBLE = /^[\x21\x23-\x26\x28-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+$/;
/** What would run, or be read, in the browser itself. */
const KEPT_SCHEMES =
  /^(?:javascript|vbscript|data|blob|file|filesystem|about|view-source|chrome|chrome-extension|moz-extension|resource|jar|ftp|wss?|mailto|tel|sms|intent|android-app):$/;
const LOOPBACK = /^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\]))(?::\d{1,5})?((?:[/?].*)?)$/;
const URI_CHARS_MAX = 1_024;

/** Why a client may not have this URI; undefined when it may. */
export function faultOfRedirect(uri: string): string | undefined {
  if (uri.length > URI_CHARS_MAX || !VISIBLE.test(uri) || !URL.canParse(uri))
    return 'a redirect URI has to be an absolute URI without blanks and quotes';
  const url = new URL(uri);
  if (uri.includes('#')) return 'a redirect URI must not have a fragment';
  if (url.username !== '' || url.password !== '') return 'a redirect URI must not have a user name';
  if (url.protocol === 'https:') return undefined;
  if (url.protocol === 'http:') return LOOPBACK.test(uri) ? undefined : 'http:// is only for loopback redirect URIs';
  return KEPT_SCHEMES.test(url.protocol) ? 'a redirect URI must not have this scheme' : undefined;
}

/** Whether a client that registered these URIs may be answered at `asked`. */
export function matchesRedirect(registered: readonly string[], asked: string): boolean {
  const loopback = withoutPort(asked);
  return registered.some((uri) => uri === asked || (loopback !== undefined && withoutPort(uri) === loopback));
}

function withoutPort(uri: string): string | undefined {
  const match = LOOPBACK.exec(uri);
  return match === null || !URL.canParse(uri) ? undefined : `${match[1]}${match[2]}`;
}

/** Where a browser is sent to, as people know it: a host, or the scheme of a program. */
export function placeOf(uri: string): { readonly name: string; readonly isLocal: boolean } {
  const { protocol, host } = new URL(uri);
  if (protocol !== 'http:' && protocol !== 'https:') return { name: `${protocol}//`, isLocal: true };
  return { name: host, isLocal: LOOPBACK.test(uri) };
}

/** The URI with parameters added to its query; nothing in them can end it early. */
export function withParameters(uri: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, value);
  return `${uri}${uri.includes('?') ? '&' : '?'}${query.toString()}`;
}
