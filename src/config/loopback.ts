/**
 * Whether an address to listen on is of this machine alone.
 *
 * What nobody else can connect to may be open, so that it is asked wherever that is decided; a name counts only when it
 * is `localhost` itself, for `localhost.example.com` and `127.example.com` may be any machine. Pure.
 */

/** @param host as in `listen`: a name or an address, without brackets */
export function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/.test(host);
}
