/** Where a probe on the same machine reaches what listens at `address`. */
import { formatListenAddress, type ListenAddress } from '../../base/listen-address.ts';

/** Undefined when it cannot be known: port 0 lets the kernel choose. */
export function probeAddress(address: ListenAddress): string | undefined {
  if (address.port === 0) return undefined;
  // Every interface includes the loopbacks; `localhost` tries both of them.
  if (address.host === '' || address.host === '::') return formatListenAddress('localhost', address.port);
  if (address.host === '0.0.0.0') return formatListenAddress('127.0.0.1', address.port);
  return formatListenAddress(address.host, address.port);
}
