/**
 * The one message of a unary request, put together from DATA ("Length-Prefixed-Message" of gRPC over HTTP/2).
 *
 *   prefix ──5 bytes──▶ content ──announced length is there──▶ whole ──more bytes──▶ a second one begins
 *
 * Invariants:
 * 1. Room for a message is reserved before it is allocated, and before the client gets window for it: it may
 *    reserve as much again as it has sent, and a stream's window, so that an announcement alone costs nobody else.
 * 2. `heldBytes` is the framed message as far as there is room for it.
 * (A message that arrives whole in the last frame never comes here: see sensor-call.ts.)
 */
import type { BufferPool } from '../../base/buffer-pool.ts';
import { STREAM_WINDOW_BYTES } from './limits.ts';

export const PREFIX_BYTES = 5;
const NOTHING = Buffer.alloc(0);

export interface MessageHost {
  /** Takes from the receive budget; false ends the call. */
  reserve(bytes: number): boolean;
  /** Lets the client send `bytes` more. */
  grant(bytes: number): void;
  /** The announced length is more than is allowed: the call has ended. */
  onTooLarge(): void;
  /** The message is whole, and its flag is not 0: it is to be inflated. False when that ended the call. */
  onFlagged(framed: Buffer): boolean;
  /** A second message is there. */
  onSecond(): void;
}

export class RequestMessage {
  readonly #host: MessageHost;
  readonly #maxBytes: number;
  readonly #memory: BufferPool;
  /** Prefix and content. */
  #framed: Buffer<ArrayBuffer> = NOTHING;
  #haveBytes = 0;
  #framedBytes = -1;
  /** Of what follows the message: bytes seen, and the length announced there. None of it is kept. */
  #extraBytes = 0;
  #extraLength = 0;

  constructor(host: MessageHost, maxBytes: number, memory: BufferPool) {
    this.#host = host;
    this.#maxBytes = maxBytes;
    this.#memory = memory;
  }

  get isEmpty(): boolean {
    return this.#haveBytes === 0;
  }
  /** Exactly one message, and nothing after it. */
  get isWhole(): boolean {
    return this.#haveBytes === this.#framedBytes && this.#extraBytes === 0;
  }
  get framed(): Buffer {
    return this.#framed;
  }

  /** False once the call has ended over it. */
  add(bytes: Buffer, start: number, end: number): boolean {
    let at = start;
    while (this.#haveBytes < PREFIX_BYTES) {
      if (at === end) return true;
      if (this.#framed.length === 0) this.#framed = this.#memory.take(PREFIX_BYTES);
      this.#framed[this.#haveBytes++] = bytes[at++]!;
      if (this.#haveBytes === PREFIX_BYTES && !this.#onPrefix()) return false;
    }
    const wasWhole = this.#haveBytes === this.#framedBytes && start === at;
    if (at < end && this.#haveBytes < this.#framedBytes) {
      const count = Math.min(end - at, this.#framedBytes - this.#haveBytes);
      if (!this.#makeRoom(this.#haveBytes + count)) return false;
      bytes.copy(this.#framed, this.#haveBytes, at, at + count);
      this.#haveBytes += count;
      at += count;
    }
    const isNewlyWhole = !wasWhole && this.#haveBytes === this.#framedBytes;
    if (isNewlyWhole && this.#framed[0] !== 0 && !this.#host.onFlagged(this.#framed)) return false;
    return at === end || this.#onExtra(bytes, at, end);
  }

  #onPrefix(): boolean {
    const length = this.#framed.readUInt32BE(1);
    if (length > this.#maxBytes) return this.#tooLarge();
    this.#framedBytes = PREFIX_BYTES + length;
    return this.#grow(Math.min(this.#framedBytes, STREAM_WINDOW_BYTES));
  }

  #makeRoom(neededBytes: number): boolean {
    // Half of the room is used: time to let the client send on, before it has to stop.
    while (this.#framed.length < this.#framedBytes && neededBytes * 2 > this.#framed.length) {
      const roomBytes = this.#framed.length;
      const nextBytes = Math.min(this.#framedBytes, roomBytes * 2);
      if (!this.#grow(nextBytes)) return false;
      this.#host.grant(nextBytes - roomBytes);
    }
    return true;
  }

  #grow(bytes: number): boolean {
    const isFirst = this.#framed.length === PREFIX_BYTES;
    if (!this.#host.reserve(bytes - (isFirst ? 0 : this.#framed.length))) return false;
    if (bytes === this.#framed.length) return true;
    const grown = this.#memory.take(bytes);
    this.#framed.copy(grown, 0, 0, this.#haveBytes);
    this.#memory.give(this.#framed);
    this.#framed = grown;
    return true;
  }

  /** Its bytes are not needed any more, nor is it. */
  release(): void {
    this.#memory.give(this.#framed);
    this.#framed = NOTHING;
    this.#haveBytes = 0;
  }

  #onExtra(bytes: Buffer, start: number, end: number): boolean {
    let at = start;
    for (; at < end && this.#extraBytes < PREFIX_BYTES; at++, this.#extraBytes++) {
      if (this.#extraBytes > 0) this.#extraLength = this.#extraLength * 256 + bytes[at]!;
    }
    if (this.#extraBytes < PREFIX_BYTES) return true;
    if (this.#extraLength > this.#maxBytes) return this.#tooLarge();
    this.#extraBytes += end - at;
    if (this.#extraBytes < PREFIX_BYTES + this.#extraLength) return true;
    this.#host.onSecond();
    return false;
  }

  #tooLarge(): boolean {
    this.#host.onTooLarge();
    return false;
  }
}
