/**
 * Who is asking when no token is: somebody at the command line of this machine.
 *
 * Whoever may use the admin socket, or read the operator's files, needs no token. Without a user's name they are
 * `local`: every server of mcproxy.yml with the shared credential. That principal has no token, so nobody gets in
 * over HTTP as it; it is added to the configuration of the message path alone. A user of that name stays a user of
 * their own: sessions of servers and children are kept apart by the id.
 */
import type { Config, Principal } from '../model.ts';
import { findNearest } from '../text/nearest.ts';

const LOCAL_ID = 'local';
/** For who has a user `local`; no user can be called like this. */
const LOCAL_ID_BESIDE_USER = 'local (command line)';

/** All servers of mcproxy.yml, with the shared credentials. */
export function localPrincipal(config: Config): Principal {
  const isTaken = config.principals.some(({ id }) => id === LOCAL_ID);
  const id = isTaken ? LOCAL_ID_BESIDE_USER : LOCAL_ID;
  return { id, role: 'user', isLocal: true, tokenDigests: [], servers: config.servers };
}

/** The configuration in which the message path finds it. */
export function withLocalPrincipal(config: Config): Config {
  return { ...config, principals: [...config.principals, localPrincipal(config)] };
}

/** The user of that name, `local` without one, or a sentence that names the nearest. */
export function findLocalUser(config: Config, user: string | undefined): Principal | { readonly unknown: string } {
  if (user === undefined) return localPrincipal(config);
  const found = config.principals.find(({ id }) => id === user);
  if (found !== undefined) return found;
  const nearest = findNearest(
    user,
    config.principals.map(({ id }) => id),
  );
  const shown = user.replaceAll(/\p{Cc}/gu, '·').slice(0, 80);
  const hint = nearest === undefined ? '; `mcproxy token list` shows all' : `; did you mean "${nearest}"?`;
  return { unknown: `there is no user "${shown}"${hint}` };
}
