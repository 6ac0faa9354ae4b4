/**
 * Who lacks what each user brings to a server, so that an operator can be told what to write for whom.
 *
 * What somebody lacks was found when the files were read; here it is only gathered.
 * Users who cannot come in at all are left out, and so is whoever asks from the command line without a name. Pure.
 */
import type { Config, Principal } from '../model.ts';

/** In the order of the configuration. */
export function usersLacking(config: Config, serverName: string): readonly Principal[] {
  return config.principals.filter(
    ({ servers, tokenDigests, isLocal }) =>
      (servers.get(serverName)?.lacks.length ?? 0) > 0 &&
      isLocal !== true &&
      (tokenDigests.length > 0 || config.oauth !== undefined || config.auth === 'none'),
  );
}
