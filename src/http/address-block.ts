/**
 * Client addresses as whoever has them is likely to be one: an IPv4 address, an IPv6 network of 64 bits.
 *
 * One customer gets a /64 at least (RFC 6177), so that single IPv6 addresses say nothing about who is behind them. The
 * wider block is what many addresses of one attacker have in common: /24 and /48. Pure.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface AddressBlock {
  /** An address or network, in one spelling. */
  readonly own: string;
  readonly wider: string;
}

/** @param ip null where it is not known */
export function addressBlock(ip: string | null): AddressBlock {
  if (ip !== null && isIPv4(ip)) return { own: ip, wider: `${ip.slice(0, ip.lastIndexOf('.'))}.0/24` };
  const groups = ip !== null && isIPv6(ip) ? groupsOf(ip) : undefined;
  if (groups === undefined) return { own: 'unknown', wider: 'unknown' };
  return { own: `${groups.slice(0, 4).join(':')}::/64`, wider: `${groups.slice(0, 3).join(':')}::/48` };
}

/** The eight groups without leading zeros (RFC 4291 §2.2); an IPv4 tail stands for the last two. */
function groupsOf(ip: string): string[] {
  const [head = '', tail] = (ip.split('%', 1)[0] ?? '').toLowerCase().split('::');
  const [before, after] = [head, tail ?? ''].map((part) =>
    part === '' ? [] : part.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group])),
  ) as [string[], string[]];
  const missing = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array.from({ length: missing }, () => '0'), ...after].map((group) =>
    Number.parseInt(group, 16).toString(16),
  );
}
