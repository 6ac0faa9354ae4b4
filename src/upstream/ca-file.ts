/**
 * Files of certificate authorities, read and looked at before they are needed.
 *
 * TLS passes over a file that is no certificate, and then trusts nobody without saying why. So it is said when a
 * configuration comes into force, and not by the first request.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { ProxyError } from '../errors.ts';

/** @param whose for the message: `ca_file of server up`. @throws {ProxyError} CONFIG_INVALID when it cannot be used */
export function readCaFile(path: string, whose: string): Buffer {
  try {
    const ca = readFileSync(path);
    void new X509Certificate(ca);
    return ca;
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    const text = `${whose}: ${path} is no readable certificate in PEM form (${reason})`;
    throw new ProxyError('CONFIG_INVALID', text, { cause });
  }
}
