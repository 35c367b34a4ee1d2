/**
 * Where an accepted socket becomes a secured one, before a transport sees it.
 *
 *   accepted ──handshake: HTTP/2 agreed, client certificate good where asked for──▶ onSecured
 *      └──a fault, or HANDSHAKE_TIMEOUT_MS──▶ onFault, closed
 *
 * The `tls` server never listens: our listeners accept, and hand it each socket (its documented 'connection' event). So
 * both transports share it, and a connection in its handshake counts against MAX_CONNECTIONS like any other.
 *
 * Invariants:
 * 1. Every socket that enters is heard of exactly once: secured, or at fault.
 * 2. `setMaterial` holds for handshakes that begin after it; what was secured before stays.
 */
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { formatListenAddress } from '../../base/listen-address.ts';
import { type HandshakeFault, handshakeFault } from './handshake-fault.ts';
import type { TlsMaterial, TlsMinVersion } from './material.ts';

/** Two round trips and a signature; over a bad radio link a few seconds. Half-open handshakes hold places until then. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;

/** A certificate's name goes into metrics and logs; nobody needs a longer one. */
const MAX_SUBJECT_CHARACTERS = 256;

export interface TlsEntranceEvents {
  onFault(fault: HandshakeFault, peer: string, detail: string): void;
}

export class TlsEntrance {
  /** Set by the transport that lets in whom it secured. */
  onSecured: (socket: TLSSocket) => void = (socket) => socket.destroy();
  readonly #server: Server;
  readonly #events: TlsEntranceEvents;
  readonly #minVersion: TlsMinVersion;

  constructor(material: TlsMaterial, minVersion: TlsMinVersion, events: TlsEntranceEvents) {
    this.#events = events;
    this.#minVersion = minVersion;
    this.#server = createServer({
      ...contextOptions(material, minVersion),
      ALPNProtocols: ['h2'],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      // Asked for by hand below: by itself Node would hang up without a word to anybody.
      requestCert: material.clientAuthority !== undefined,
      rejectUnauthorized: false,
    });
    this.#server.on('secureConnection', (socket) =>
      this.#onSecure(socket, material.clientAuthority !== undefined),
    );
    this.#server.on('tlsClientError', (error, socket) => {
      this.#fault(socket, handshakeFault(error), error.message);
      socket.destroy();
    });
  }

  enter(accepted: Socket): void {
    accepted.on('error', () => {});
    this.#server.emit('connection', accepted);
  }

  setMaterial(material: TlsMaterial): void {
    this.#server.setSecureContext(contextOptions(material, this.#minVersion));
  }

  #onSecure(socket: TLSSocket, needsCertificate: boolean): void {
    // RFC 9113 3.2: HTTP/2 over TLS begins with ALPN. Who offers none at all is not stopped by the TLS layer.
    if (socket.alpnProtocol !== 'h2') this.#refuse(socket, 'no_http2', '');
    else if (needsCertificate && !socket.authorized) {
      const reason = String(socket.authorizationError ?? '');
      const hasNone = Object.keys(socket.getPeerCertificate()).length === 0;
      this.#refuse(socket, hasNone ? 'no_client_certificate' : 'client_certificate', reason);
    } else this.onSecured(socket);
  }

  #refuse(socket: TLSSocket, fault: HandshakeFault, detail: string): void {
    socket.on('error', () => {});
    this.#fault(socket, fault, detail);
    socket.destroy();
  }

  #fault(socket: TLSSocket, fault: HandshakeFault, detail: string): void {
    const peer = formatListenAddress(socket.remoteAddress ?? 'unknown', socket.remotePort ?? 0);
    this.#events.onFault(fault, peer, detail);
  }
}

function contextOptions({ certificate, key, clientAuthority }: TlsMaterial, minVersion: TlsMinVersion) {
  return {
    cert: certificate,
    key,
    minVersion,
    ...(clientAuthority === undefined ? {} : { ca: clientAuthority }),
  };
}

/**
 * Who a verified client certificate speaks for: its common name, or where it has none the first name in its subject
 * alternative names. Undefined where there is no certificate, or nobody asked for one.
 */
export function certificateSubject(socket: Socket): string | undefined {
  const secured = socket as TLSSocket;
  if (secured.encrypted !== true || !secured.authorized) return undefined;
  const { subject, subjectaltname } = secured.getPeerCertificate();
  const name = subject?.CN ?? subjectaltname?.split(', ')[0]?.replace(/^(DNS|URI|email|IP Address):/, '');
  const text = Array.isArray(name) ? name[0] : name;
  return text === undefined || text === '' ? undefined : text.slice(0, MAX_SUBJECT_CHARACTERS);
}
