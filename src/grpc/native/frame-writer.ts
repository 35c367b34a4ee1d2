/**
 * Writes frames (RFC 9113 section 6) of one connection, gathered: all that is written in one turn goes out
 * in one `socket.write`.
 *
 *   empty ──a frame──▶ gathering (has a buffer, is due) ──flush()──▶ empty
 *                        └── the buffer is full ──▶ written at once, gathering in the next
 *
 * Invariants:
 * 1. `unsentBytes` counts what is gathered or with the socket and not yet with the kernel.
 * 2. Frames go out in the order of the calls.
 */
import type { Socket } from 'node:net';
import { ERROR_CODE, type ErrorCode, FLAG, FRAME, FRAME_HEADER_BYTES } from './protocol.ts';
import { WRITE_BUFFER_BYTES, type WriteBuffers } from './write-buffers.ts';

/** Five bytes: not compressed, no content. */
const EMPTY_MESSAGE_BYTES = 5;

export class FrameWriter {
  readonly #socket: Socket;
  readonly #buffers: WriteBuffers;
  /** Called when the first frame of a turn is written: somebody must flush. */
  readonly #onDue: () => void;
  /** Called whenever the kernel took some. */
  readonly #onTaken: () => void;
  #buffer: Buffer | undefined;
  #length = 0;
  #withSocketBytes = 0;

  constructor(socket: Socket, buffers: WriteBuffers, onDue: () => void, onTaken: () => void) {
    this.#socket = socket;
    this.#buffers = buffers;
    this.#onDue = onDue;
    this.#onTaken = onTaken;
  }

  get unsentBytes(): number {
    return this.#withSocketBytes + this.#length;
  }

  flush(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    const bytes = this.#length;
    this.#buffer = undefined;
    this.#length = 0;
    if (this.#socket.destroyed) {
      this.#buffers.give(buffer);
      return;
    }
    this.#withSocketBytes += bytes;
    this.#socket.write(buffer.subarray(0, bytes), () => {
      this.#withSocketBytes -= bytes;
      this.#buffers.give(buffer);
      this.#onTaken();
    });
  }

  /** A whole answer of a unary call with an empty message: HEADERS, DATA, HEADERS with END_STREAM. */
  emptyAnswer(streamId: number, headers: Buffer, trailers: Buffer): void {
    const needed = 3 * FRAME_HEADER_BYTES + EMPTY_MESSAGE_BYTES + headers.length + trailers.length;
    let at = this.#room(needed);
    const out = this.#buffer!;
    at = writeFrameHeader(out, at, headers.length, FRAME.HEADERS, FLAG.END_HEADERS, streamId);
    at = writeBytes(out, at, headers);
    at = writeFrameHeader(out, at, EMPTY_MESSAGE_BYTES, FRAME.DATA, 0, streamId);
    out[at] = 0;
    out[at + 1] = 0;
    out[at + 2] = 0;
    out[at + 3] = 0;
    out[at + 4] = 0;
    at = writeFrameHeader(
      out,
      at + EMPTY_MESSAGE_BYTES,
      trailers.length,
      FRAME.HEADERS,
      FLAG.END_HEADERS | FLAG.END_STREAM,
      streamId,
    );
    this.#length = writeBytes(out, at, trailers);
  }

  /** Our blocks are far below a frame's limit, so they never need CONTINUATION. */
  headers(streamId: number, block: Buffer, endStream: boolean): void {
    this.#frame(
      FRAME.HEADERS,
      FLAG.END_HEADERS | (endStream ? FLAG.END_STREAM : 0),
      streamId,
      block,
      0,
      block.length,
    );
  }

  data(streamId: number, bytes: Buffer, start: number, end: number, endStream: boolean): void {
    this.#frame(FRAME.DATA, endStream ? FLAG.END_STREAM : 0, streamId, bytes, start, end);
  }

  rstStream(streamId: number, code: ErrorCode): void {
    this.#short(FRAME.RST_STREAM, 0, streamId, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#short(FRAME.WINDOW_UPDATE, 0, streamId, increment);
  }

  /** Pairs of setting and value. */
  settings(pairs: readonly (readonly [setting: number, value: number])[]): void {
    const payload = Buffer.alloc(6 * pairs.length);
    pairs.forEach(([setting, value], i) => {
      payload.writeUInt16BE(setting, 6 * i);
      payload.writeUInt32BE(value, 6 * i + 2);
    });
    this.#frame(FRAME.SETTINGS, 0, 0, payload, 0, payload.length);
  }

  settingsAck(): void {
    const at = this.#room(FRAME_HEADER_BYTES);
    this.#length = writeFrameHeader(this.#buffer!, at, 0, FRAME.SETTINGS, FLAG.ACK, 0);
  }

  /** Eight bytes. */
  ping(bytes: Buffer, start: number, isAck: boolean): void {
    this.#frame(FRAME.PING, isAck ? FLAG.ACK : 0, 0, bytes, start, start + 8);
  }

  goaway(lastStreamId: number, code: ErrorCode, message = ''): void {
    const payload = Buffer.alloc(8 + (code === ERROR_CODE.NO_ERROR ? 0 : message.length));
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    payload.write(message, 8, 'latin1');
    this.#frame(FRAME.GOAWAY, 0, 0, payload, 0, payload.length);
  }

  #short(type: number, flags: number, streamId: number, value: number): void {
    const start = this.#room(FRAME_HEADER_BYTES + 4);
    const out = this.#buffer!;
    const at = writeFrameHeader(out, start, 4, type, flags, streamId);
    out[at] = value >>> 24;
    out[at + 1] = value >>> 16;
    out[at + 2] = value >>> 8;
    out[at + 3] = value;
    this.#length = at + 4;
  }

  #frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const at = this.#room(FRAME_HEADER_BYTES);
    this.#length = writeFrameHeader(this.#buffer!, at, end - start, type, flags, streamId);
    for (let from = start; from < end; ) {
      const to = this.#room(1);
      const count = Math.min(end - from, WRITE_BUFFER_BYTES - to);
      bytes.copy(this.#buffer!, to, from, from + count);
      this.#length += count;
      from += count;
    }
  }

  /** Makes sure that `bytes` (never more than a buffer) fit behind what is gathered; returns where. */
  #room(bytes: number): number {
    if (this.#buffer !== undefined && this.#length + bytes > WRITE_BUFFER_BYTES) this.flush();
    if (this.#buffer === undefined) {
      this.#buffer = this.#buffers.take();
      this.#onDue();
    }
    return this.#length;
  }
}

function writeFrameHeader(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  out[at + 5] = streamId >>> 24;
  out[at + 6] = streamId >>> 16;
  out[at + 7] = streamId >>> 8;
  out[at + 8] = streamId;
  return at + FRAME_HEADER_BYTES;
}

/** Blocks are a few bytes: a loop is faster than a copy across the boundary. */
function writeBytes(out: Buffer, at: number, bytes: Buffer): number {
  const length = bytes.length;
  if (length > 64) {
    bytes.copy(out, at);
  } else {
    for (let i = 0; i < length; i++) out[at + i] = bytes[i]!;
  }
  return at + length;
}
