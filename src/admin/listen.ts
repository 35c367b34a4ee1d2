/** Binds HTTP servers to every concrete address that one listen address stands for, or to none. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';
import { bindHosts, formatListenAddress, type ListenAddress } from '../base/listen-address.ts';

/** With port 0 the kernel picks a port on the first loopback; it may be taken on the second. */
const FREE_PORT_TRIES = 10;

export interface Bound {
  readonly servers: readonly Server[];
  readonly port: number;
  /** Addresses of ours that this machine does not have (no IPv6), with the system's code. */
  readonly missing: readonly string[];
}

export async function listenAll(address: ListenAddress, createServer: () => Server): Promise<Bound> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listenOnce(address, createServer);
    } catch (error) {
      const mayRetry = address.port === 0 && systemErrorCode(error) === 'EADDRINUSE';
      if (!mayRetry || attempt === FREE_PORT_TRIES) throw describe(error, address);
    }
  }
}

async function listenOnce(address: ListenAddress, createServer: () => Server): Promise<Bound> {
  const servers: Server[] = [];
  const missing: string[] = [];
  let port = address.port;
  try {
    for (const host of bindHosts(address)) {
      try {
        const server = await listenOn(createServer(), host, port);
        servers.push(server);
        port = (server.address() as AddressInfo).port;
      } catch (error) {
        const code = systemErrorCode(error);
        const isMissing = code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL';
        if (!isMissing) throw error;
        if (address.host === 'localhost') {
          missing.push(`${host} (${code})`);
        } else if (address.host === '') {
          servers.push(await listenOn(createServer(), '0.0.0.0', port));
          port = (servers[0]!.address() as AddressInfo).port;
        } else {
          throw error;
        }
      }
    }
    if (servers.length === 0) throw new Error(`no loopback address: ${missing.join(', ')}`);
    return { servers, port, missing };
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

function listenOn(server: Server, host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

function describe(error: unknown, address: ListenAddress): SinkError {
  const written = `ADMIN_SOCKET=${formatListenAddress(address.host, address.port)}`;
  const code = systemErrorCode(error);
  if (code === 'EADDRINUSE') {
    return new SinkError(
      'ADDRESS_IN_USE',
      `${written}: port ${address.port} is already in use; stop what listens there or set ADMIN_SOCKET to another port`,
      { cause: error },
    );
  }
  const reason =
    code === 'EACCES'
      ? 'this port needs privileges; choose one from 1024 up'
      : code === 'ENOTFOUND' || code === 'EAI_AGAIN'
        ? 'the host name cannot be resolved'
        : code === 'EADDRNOTAVAIL'
          ? 'the host is not an address of this machine'
          : errorMessage(error);
  return new SinkError('ADDRESS_UNAVAILABLE', `${written}: ${reason}`, { cause: error });
}
