/** Cuts DATA into messages ("Length-Prefixed-Message" of gRPC over HTTP/2), for calls that take any number. */
import { MAX_QUESTION_BYTES } from './limits.ts';
import { PREFIX_BYTES } from './request-message.ts';

export class QuestionReader {
  #held = Buffer.alloc(0);
  #heldBytes = 0;

  /** Nothing of a message is left over. */
  get isAtBoundary(): boolean {
    return this.#heldBytes === 0;
  }

  /** Calls `onMessage` with each whole message, prefix included; false when one announces too much. */
  add(bytes: Buffer, start: number, end: number, onMessage: (framed: Buffer) => void): boolean {
    this.#append(bytes, start, end);
    let at = 0;
    while (this.#heldBytes - at >= PREFIX_BYTES) {
      const length = this.#held.readUInt32BE(at + 1);
      if (length > MAX_QUESTION_BYTES) return false;
      const next = at + PREFIX_BYTES + length;
      if (next > this.#heldBytes) break;
      onMessage(Buffer.from(this.#held.subarray(at, next)));
      at = next;
    }
    if (at > 0) {
      this.#held.copyWithin(0, at, this.#heldBytes);
      this.#heldBytes -= at;
    }
    return true;
  }

  #append(bytes: Buffer, start: number, end: number): void {
    const needed = this.#heldBytes + end - start;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(512, needed * 2));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes = needed;
  }
}
