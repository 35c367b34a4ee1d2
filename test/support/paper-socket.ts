/** A connection without a network: what the server reads is fed by hand, what it writes is kept. Everything happens at once. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class PaperSocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort = 40_000;
  readonly written: Buffer[] = [];
  /** Nothing of the system's stands behind it: the end of a long turn, as on a slow machine, has nothing to stop. */
  readonly _handle = null;

  constructor(remoteAddress = '127.0.0.1') {
    super();
    this.remoteAddress = remoteAddress;
  }
  /** Called with every write. */
  onWritten: (() => void) | undefined;

  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, onDone: () => void): void {
    // The server uses its buffers again.
    this.written.push(Buffer.from(chunk));
    this.onWritten?.();
    onDone();
  }
  /** Hands a chunk to whoever listens, in this turn. */
  feed(chunk: Buffer): void {
    if (!this.destroyed) this.emit('data', chunk);
  }
  resetAndDestroy(): this {
    return this.destroy();
  }
  get output(): Buffer {
    return Buffer.concat(this.written);
  }
  asSocket(): Socket {
    return this as unknown as Socket;
  }
}
