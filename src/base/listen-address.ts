/** Listen addresses as operators write them: `localhost:8000`, `:50051`, `0.0.0.0:50051`, `[::]:50051`. */

export interface ListenAddress {
  /** Host without brackets; empty means every interface. */
  readonly host: string;
  /** 0 to 65535; 0 asks the kernel for a free port. */
  readonly port: number;
}

/** The parsed address, or undefined when `text` has no valid host:port form. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text.trim());
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65535) return undefined;
  const bracketed = match[1];
  if (bracketed !== undefined && !bracketed.includes(':')) return undefined;
  return { host: bracketed ?? match[2] ?? '', port };
}

/** The concrete addresses to bind: `localhost` is both loopbacks, an empty host is every interface. */
export function bindHosts(address: ListenAddress): readonly string[] {
  if (address.host === '') return ['::'];
  if (address.host === 'localhost') return ['127.0.0.1', '::1'];
  return [address.host];
}

export function isLoopback(address: ListenAddress): boolean {
  return bindHosts(address).every((host) => host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host));
}

/** `[::1]:8000`, `localhost:8000`; the form that clients can dial. */
export function formatListenAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
