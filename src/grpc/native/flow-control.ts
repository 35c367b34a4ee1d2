/**
 * The windows of a connection (RFC 9113 section 5.2, 6.9). Those of streams are plain numbers in stream.ts.
 */
import { ConnectionFault, DEFAULT_WINDOW_BYTES, ERROR_CODE, MAX_WINDOW_BYTES } from './protocol.ts';

export interface Waiting {
  /** Sends what the windows allow. */
  pump(): void;
}

/** What we may send on all streams together, and the streams that wait for it. */
export class SendWindow {
  #availableBytes = DEFAULT_WINDOW_BYTES;
  readonly #waiting = new Set<Waiting>();

  get availableBytes(): number {
    return this.#availableBytes;
  }

  take(bytes: number): void {
    this.#availableBytes -= bytes;
  }

  wait(stream: Waiting): void {
    this.#waiting.add(stream);
  }

  leave(stream: Waiting): void {
    if (this.#waiting.size > 0) this.#waiting.delete(stream);
  }

  widen(bytes: number): void {
    this.#availableBytes += bytes;
    if (this.#availableBytes > MAX_WINDOW_BYTES) {
      throw new ConnectionFault(ERROR_CODE.FLOW_CONTROL_ERROR, 'the connection window is beyond its bound');
    }
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const stream of waiting) stream.pump();
  }
}

/**
 * What the client may send on all streams together. It is given back at once, because what arrives is taken
 * out of the receive budget or refused at that moment; half a window is gathered per update.
 */
export class ReceiveWindow {
  readonly #sizeBytes: number;
  #availableBytes: number;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    this.#availableBytes = sizeBytes;
  }

  /** Returns the increment to announce, mostly 0. */
  receive(bytes: number): number {
    this.#availableBytes -= bytes;
    if (this.#availableBytes < 0) {
      throw new ConnectionFault(ERROR_CODE.FLOW_CONTROL_ERROR, 'more DATA than the connection window allows');
    }
    if (this.#availableBytes > this.#sizeBytes / 2) return 0;
    const increment = this.#sizeBytes - this.#availableBytes;
    this.#availableBytes = this.#sizeBytes;
    return increment;
  }
}
