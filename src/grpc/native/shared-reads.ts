/**
 * Lets the sockets of one thread read into one buffer. By itself Node makes 64 KiB anew for every read of every socket,
 * which the collector then has to find and free: at 100 readings per request that was a sixth of the daemon's CPU time
 * (docs/decisions/0125). A read, and all that is done with it, is over before the next one begins, so one buffer will do.
 *
 * Node offers it (`onread`) for sockets that a program makes, not for those that a server accepts; so the handle of the
 * accepted socket moves to one of ours. The handle is no public property: where it is missing, or cannot do it, the
 * accepted socket stays as it is, and everything works as before.
 *
 * Invariant: a chunk is valid until the 'data' listener returns.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import { KiB } from '../../base/byte-size.ts';

/** What one read takes at most. */
export const READ_BUFFER_BYTES = 64 * KiB;

interface SocketInternals {
  _handle: { readonly useUserBuffer?: unknown } | null | undefined;
}

export class SharedReads {
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

  /** The socket to use from now on in place of `accepted`, which must not have been read from yet. */
  adopt(accepted: Socket): Socket {
    const internals = accepted as unknown as SocketInternals;
    const handle = internals._handle;
    // A TLSSocket deciphers into buffers of its own.
    if (accepted.constructor !== Socket || typeof handle?.useUserBuffer !== 'function') return accepted;
    const options = {
      handle,
      onread: {
        buffer: this.#buffer,
        callback: (bytes: number, buffer: Uint8Array): boolean => {
          socket.emit('data', (buffer as Buffer).subarray(0, bytes));
          return true;
        },
      },
    };
    const socket: Socket = new Socket(options as unknown as SocketConstructorOpts);
    // Without its handle it closes nothing but itself.
    internals._handle = null;
    accepted.destroy();
    return socket;
  }
}
