/**
 * Buffers for answers on their way out, shared by all connections of a server: an idle connection holds none.
 *
 * Invariant: a buffer is either lent to exactly one writer or lies here.
 */
import { KiB } from '../../base/byte-size.ts';

/** Some 400 ordinary answers: more than a connection gives in one turn. */
export const WRITE_BUFFER_BYTES = 16 * KiB;
/** Kept for the next turn: as many connections as answer at once, 2 MiB in all. */
const KEPT_BUFFERS = 128;

export class WriteBuffers {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(WRITE_BUFFER_BYTES);
  }

  give(buffer: Buffer): void {
    if (this.#free.length < KEPT_BUFFERS) this.#free.push(buffer);
  }
}
