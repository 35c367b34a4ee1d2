/**
 * Puts a header block together that came in several frames (RFC 9113 section 4.3, 6.10).
 *
 *   none ──HEADERS without END_HEADERS──▶ open ──CONTINUATION──▶ open ──with END_HEADERS──▶ none
 *                                          └── any other frame: fault of the connection
 */
import { MAX_CONTINUATION_FRAMES, MAX_HEADER_BLOCK_BYTES } from './limits.ts';
import { ConnectionFault, ERROR_CODE } from './protocol.ts';

export class HeaderAssembly {
  /** 0 while no block is open. */
  streamId = 0;
  /** Flags of the HEADERS frame. */
  flags = 0;
  /** The stream that it says to depend on, -1 for none. */
  dependency = -1;
  openedAtMs = 0;
  #fragments: Buffer[] = [];
  #bytes = 0;

  open(streamId: number, flags: number, dependency: number, nowMs: number): void {
    this.streamId = streamId;
    this.flags = flags;
    this.dependency = dependency;
    this.openedAtMs = nowMs;
    this.#fragments = [];
    this.#bytes = 0;
  }

  add(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > MAX_HEADER_BLOCK_BYTES || this.#fragments.length > MAX_CONTINUATION_FRAMES) {
      throw new ConnectionFault(ERROR_CODE.ENHANCE_YOUR_CALM, 'a header block beyond all use');
    }
    this.#fragments.push(Buffer.from(bytes.subarray(start, end)));
  }

  /** The whole block; none is open afterwards. */
  close(): Buffer {
    const block = Buffer.concat(this.#fragments);
    this.streamId = 0;
    this.#fragments = [];
    return block;
  }
}
