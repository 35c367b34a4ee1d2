/**
 * Cuts the bytes of a connection into frames (RFC 9113 section 4.1), wherever the network cut them.
 *
 *   preface ──24 bytes match──▶ frames ◀─┐
 *      └── a byte differs ──▶ fault      └─ each whole frame goes to the sink
 *
 * Invariants:
 * 1. A frame that lies whole within a chunk is handed on where it lies; only one that is cut is copied.
 * 2. At most one frame is held, and no more of it than has arrived asks for memory (rounded up to twice, or to a whole frame
 *    from POOLED_HOLD_BYTES on).
 * 3. The sink gets the same frames in the same order for every way of cutting the same bytes.
 */
import type { BufferPool } from '../../base/buffer-pool.ts';
import {
  CLIENT_PREFACE,
  ConnectionFault,
  DEFAULT_FRAME_BYTES,
  ERROR_CODE,
  FRAME_HEADER_BYTES,
} from './protocol.ts';

export interface FrameSink {
  /** The payload is bytes[start, end); it is the sink's only until it returns. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  /** True once nothing more is to be read. */
  readonly isDeaf: boolean;
}

const NOTHING = Buffer.alloc(0);
const SMALLEST_HOLD_BYTES = 256;
/** From here on it is memory that is used again: large frames are cut by nearly every read. */
const POOLED_HOLD_BYTES = 2048;
const LARGEST_HOLD_BYTES = FRAME_HEADER_BYTES + DEFAULT_FRAME_BYTES;

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #memory: BufferPool;
  #prefaceBytes = 0;
  #held: Buffer<ArrayBuffer> = NOTHING;
  #heldBytes = 0;

  constructor(sink: FrameSink, memory: BufferPool) {
    this.#sink = sink;
    this.#memory = memory;
  }

  /** Bytes of a frame that has not arrived whole. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Throws ConnectionFault, its own and the sink's; the reader is of no use afterwards. */
  read(chunk: Buffer): void {
    let at = this.#prefaceBytes < CLIENT_PREFACE.length ? this.#readPreface(chunk) : 0;
    if (this.#heldBytes > 0) at = this.#completeHeld(chunk, at);
    const end = chunk.length;
    while (end - at >= FRAME_HEADER_BYTES) {
      const payloadEnd = at + FRAME_HEADER_BYTES + payloadBytes(chunk, at);
      if (payloadEnd > end) break;
      if (this.#sink.isDeaf) return;
      this.#handOn(chunk, at, payloadEnd);
      at = payloadEnd;
    }
    if (at < end) this.#hold(chunk, at, end);
  }

  #readPreface(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#prefaceBytes < CLIENT_PREFACE.length) {
      if (chunk[at++] !== CLIENT_PREFACE[this.#prefaceBytes++]) {
        throw new ConnectionFault(ERROR_CODE.PROTOCOL_ERROR, 'the client does not speak HTTP/2');
      }
    }
    return at;
  }

  /** Adds to the held frame what it lacks; returns where the chunk goes on. */
  #completeHeld(chunk: Buffer, start: number): number {
    let at = start;
    if (this.#heldBytes < FRAME_HEADER_BYTES) {
      at = this.#hold(chunk, at, Math.min(chunk.length, at + FRAME_HEADER_BYTES - this.#heldBytes));
      if (this.#heldBytes < FRAME_HEADER_BYTES) return at;
    }
    const frameBytes = FRAME_HEADER_BYTES + payloadBytes(this.#held, 0);
    at = this.#hold(chunk, at, Math.min(chunk.length, at + frameBytes - this.#heldBytes));
    if (this.#heldBytes < frameBytes) return at;
    const frame = this.#held;
    this.#held = NOTHING;
    this.#heldBytes = 0;
    try {
      if (!this.#sink.isDeaf) this.#handOn(frame, 0, frameBytes);
    } finally {
      this.#memory.give(frame);
    }
    return at;
  }

  #hold(chunk: Buffer, start: number, end: number): number {
    const needed = this.#heldBytes + end - start;
    if (needed > this.#held.length) {
      const roomBytes =
        needed < POOLED_HOLD_BYTES ? Math.max(SMALLEST_HOLD_BYTES, needed * 2) : LARGEST_HOLD_BYTES;
      const grown = this.#memory.take(roomBytes);
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#memory.give(this.#held);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes = needed;
    if (needed >= FRAME_HEADER_BYTES) payloadBytes(this.#held, 0);
    return end;
  }

  #handOn(bytes: Buffer, at: number, end: number): void {
    const streamId =
      ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
    this.#sink.onFrame(bytes[at + 3]!, bytes[at + 4]!, streamId, bytes, at + FRAME_HEADER_BYTES, end);
  }
}

/** The length in the frame header at `at`; one over the limit is a fault before its payload arrives (4.2). */
function payloadBytes(bytes: Buffer, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (length > DEFAULT_FRAME_BYTES) {
    throw new ConnectionFault(ERROR_CODE.FRAME_SIZE_ERROR, `a frame of ${length} bytes`);
  }
  return length;
}
