/**
 * The address a request comes from, for the log and for limits per address.
 *
 * `X-Forwarded-For` is believed only as far as configured proxies vouch for it: read from the right, each trusted
 * hop names the one before it, and the first that is not trusted is the client. Without `trusted_proxies` the
 * field is ignored, because anybody can send it.
 */
import { BlockList, isIP } from 'node:net';

export interface TrustedProxies {
  trusts(ip: string): boolean;
}

/** @param blocks addresses or CIDR blocks, already validated */
export function makeTrustedProxies(blocks: readonly string[]): TrustedProxies | undefined {
  if (blocks.length === 0) return undefined;
  const list = new BlockList();
  for (const block of blocks) {
    const [address = '', bits] = block.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return { trusts: (ip) => list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4') };
}

/** @param peer the socket's remote address */
export function clientIp(
  peer: string | undefined,
  forwardedFor: string | undefined,
  trusted: TrustedProxies | undefined,
): string | null {
  let ip = plainIp(peer ?? '');
  if (trusted === undefined || forwardedFor === undefined) return ip === '' ? null : ip;
  const hops = forwardedFor.split(',').map((hop) => plainIp(hop.trim()));
  while (isIP(ip) !== 0 && trusted.trusts(ip)) {
    const before = hops.pop();
    if (before === undefined || isIP(before) === 0) break;
    ip = before;
  }
  return ip === '' ? null : ip;
}

function plainIp(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}
