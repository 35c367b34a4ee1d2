/**
 * The listening sockets behind GRPC_SERVER_SOCKET. One address may mean several sockets (`localhost` is
 * both loopbacks), and then they share one port, also when the kernel picks it.
 *
 * Binding is exclusive: nobody joins the port silently, and a taken one is a fault, never a fallback. Only
 * our own threads share a port (`reusePort`), after `findPort` has seen that nobody else has it.
 * Only a missing IPv6 stack is forgiven, where the address did not ask for IPv6 by name.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';
import { bindHosts, formatListenAddress, type ListenAddress } from '../base/listen-address.ts';

/** Connections the kernel completes and holds for us: a whole fleet reconnects within one moment after a restart. */
const BACKLOG_CONNECTIONS = 1024;
/** The second loopback may find the port taken that the kernel picked on the first. */
const FREE_PORT_ATTEMPTS = 10;

export interface ListenOptions {
  /** Others of this process listen on the same port; the kernel spreads the connections. */
  readonly reusePort?: boolean;
}

const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);

export class Listeners {
  readonly addresses: string[];
  readonly #servers: readonly Server[];

  private constructor(servers: readonly Server[]) {
    this.#servers = servers;
    this.addresses = servers.map((server) => {
      const bound = server.address() as { address: string; port: number };
      return formatListenAddress(bound.address, bound.port);
    });
  }

  static async open(
    address: ListenAddress,
    onConnection: (socket: Socket) => void,
    options: ListenOptions = {},
  ): Promise<Listeners> {
    for (let attempt = 1; ; attempt++) {
      const servers: Server[] = [];
      try {
        await bindAll(address, onConnection, options, servers);
        return new Listeners(servers);
      } catch (error) {
        for (const server of servers) server.close();
        const pickedByKernel = address.port === 0 && servers.length > 0;
        if (pickedByKernel && systemErrorCode(error) === 'EADDRINUSE' && attempt < FREE_PORT_ATTEMPTS)
          continue;
        throw listenFault(address, error);
      }
    }
  }

  /** No new connections; those open stay. */
  close(): void {
    for (const server of this.#servers) server.close();
  }
}

/**
 * The port that several threads are to share: binds it plainly, which fails where anybody has it (with
 * reusePort a second daemon would join it unseen), and frees it again. `canShare` is false where the
 * system knows no sharing (macOS, Windows).
 */
export async function findPort(
  address: ListenAddress,
): Promise<{ readonly port: number; readonly canShare: boolean }> {
  const found = await Listeners.open(address, refuse);
  found.close();
  const port = Number(found.addresses[0]!.slice(found.addresses[0]!.lastIndexOf(':') + 1));
  try {
    (await Listeners.open({ host: address.host, port }, refuse, { reusePort: true })).close();
    return { port, canShare: true };
  } catch (error) {
    if (systemErrorCode((error as SinkError).cause) !== 'ENOTSUP') throw error;
    return { port, canShare: false };
  }
}

function refuse(socket: Socket): void {
  socket.destroy();
}

async function bindAll(
  address: ListenAddress,
  onConnection: (socket: Socket) => void,
  options: ListenOptions,
  servers: Server[],
): Promise<void> {
  const hosts = bindHosts(address);
  let port = address.port;
  for (const host of hosts) {
    try {
      const server = await bind(host, port, onConnection, options);
      servers.push(server);
      port = (server.address() as { port: number }).port;
    } catch (error) {
      const missingIpv6 = host.includes(':') && host !== address.host && NO_IPV6.has(systemErrorCode(error));
      if (!missingIpv6) throw error;
      if (hosts.length === 1) servers.push(await bind('0.0.0.0', port, onConnection, options));
    }
  }
}

function bind(
  host: string,
  port: number,
  onConnection: (socket: Socket) => void,
  { reusePort = false }: ListenOptions,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Answers are a few bytes each: Nagle would hold them back. TCP keepalive is left to HTTP/2 pings.
    const server = createServer({ noDelay: true }, onConnection);
    server.once('error', reject);
    server.listen({ host, port, backlog: BACKLOG_CONNECTIONS, exclusive: true, reusePort }, () => {
      server.off('error', reject);
      // Accept faults (out of file descriptors, say) pass: the clients retry, the daemon must not die of them.
      server.on('error', () => {});
      resolve(server);
    });
  });
}

function listenFault(address: ListenAddress, error: unknown): SinkError {
  const given = `GRPC_SERVER_SOCKET=${formatListenAddress(address.host, address.port)}`;
  const cause = { cause: error };
  switch (systemErrorCode(error)) {
    case 'EADDRINUSE':
      return new SinkError(
        'ADDRESS_IN_USE',
        `${given}: port ${address.port} is taken by another program; stop that or set GRPC_SERVER_SOCKET to another port`,
        cause,
      );
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return new SinkError(
        'ADDRESS_UNAVAILABLE',
        `${given}: ${address.host} is not an address of this machine; use one that is, localhost, or :${address.port} for all`,
        cause,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new SinkError(
        'ADDRESS_UNAVAILABLE',
        `${given}: the name ${address.host} cannot be resolved`,
        cause,
      );
    case 'EACCES':
      return new SinkError(
        'ADDRESS_UNAVAILABLE',
        `${given}: no permission for port ${address.port}; ports below 1024 need privileges`,
        cause,
      );
    default:
      return new SinkError('ADDRESS_UNAVAILABLE', `${given}: ${errorMessage(error)}`, cause);
  }
}
