/** What an address is counted under, where nothing better is known of who sends. */
import { isIPv4, isIPv6 } from 'node:net';

/** Of a socket that was closed before anybody asked. */
export const UNKNOWN_ADDRESS = 'unknown';

/** Without port. Of an IPv6 address the network of 64 bits: a host has as many addresses in it as it likes. */
export function addressName(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const bare = address.replace(/%.*$/, '');
  if (isIPv4(bare) || bare === '::1') return bare;
  if (!isIPv6(bare)) return UNKNOWN_ADDRESS;
  const [head, tail] = bare.toLowerCase().split('::') as [string, string | undefined];
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const words = [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last];
  const network = words.slice(0, 4).map((word) => Number.parseInt(word, 16).toString(16));
  return `${network.join(':')}::/64`;
}
