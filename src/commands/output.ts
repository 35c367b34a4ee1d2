/**
 * A command's output stream at the pace of whoever reads it. A reader that went away (`| head`) is an
 * ordinary end, not a fault; anything else that stops the output is.
 */
import type { Writable } from 'node:stream';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';

export class Output {
  readonly #stream: Writable;
  #isOver = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    // Each write is told by its own callback; without a listener the event would end the process.
    stream.on('error', () => {});
  }

  /** The reader is gone; there is no sense in going on. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves once the stream has taken it, to false when the reader is gone. Throws SinkError OUTPUT_FAILED. */
  async write(content: Uint8Array | string): Promise<boolean> {
    if (this.#isOver || content.length === 0) return !this.#isOver;
    const error = await new Promise<Error | null | undefined>((resolve) => {
      this.#stream.write(content, resolve);
    });
    if (error === null || error === undefined) return true;
    const code = systemErrorCode(error);
    if (code !== 'EPIPE' && code !== 'ERR_STREAM_DESTROYED') {
      throw new SinkError('OUTPUT_FAILED', `cannot write the output: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    this.#isOver = true;
    return false;
  }
}
