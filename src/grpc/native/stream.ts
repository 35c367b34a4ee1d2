/**
 * One HTTP/2 stream (RFC 9113 section 5.1), seen from the server:
 *
 *                    END_STREAM in                     END_STREAM out
 *   open ──────────────────────────▶ half closed (remote) ──────────▶ closed
 *    │ END_STREAM out: RST_STREAM(NO_ERROR) follows, nobody would read what the client still sends ▶ closed
 *    └── RST_STREAM in or out, connection lost ──────────────────────▶ closed
 *   (half closed (local) is passed through only: section 8.1 lets a server end the exchange early)
 *
 * Invariants:
 * 1. Bytes of DATA leave only while both send windows, the stream's and the connection's, allow it.
 * 2. What waits for a window leaves in order: messages, then trailers.
 * 3. The consumer hears `onClosed` exactly once, if the stream ends before the answer is complete, and nothing after.
 */
import type { Caller } from '../caller.ts';
import type { SendWindow } from './flow-control.ts';
import type { FrameWriter } from './frame-writer.ts';
import { STREAM_WINDOW_BYTES } from './limits.ts';
import { DEFAULT_FRAME_BYTES, ERROR_CODE, type ErrorCode, MAX_WINDOW_BYTES } from './protocol.ts';
import {
  type Fields,
  httpStatus,
  OK_TRAILERS,
  type ResponseHeaders,
  TRAILERS_ONLY_START,
} from './response-headers.ts';

/** Why a stream ended without its answer. */
export type CloseReason =
  | 'cancelled' // reset by the client, or the connection broke
  | 'protocol'; // what the client sent on it was against the rules

/** Who reads the request of a stream. */
export interface StreamConsumer {
  /** bytes[start, end) is theirs only until they return. `isLast`: END_STREAM stood on the same frame. */
  onData(bytes: Buffer, start: number, end: number, isLast: boolean): void;
  /** The client said END_STREAM. */
  onEnd(): void;
  onClosed(reason: CloseReason): void;
  /** All that waited for a window has left. */
  onDrained(): void;
  /** No byte of the request for REQUEST_STALL_TIMEOUT_MS. */
  onStalled(): void;
  /** The connection says goodbye: a call that could go on for ever comes to an end. */
  onLeaving?(): void;
}

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly writer: FrameWriter;
  readonly responseHeaders: ResponseHeaders;
  readonly sendWindow: SendWindow;
  readonly peer: string;
  readonly caller: Caller;
  /** From our SETTINGS to their acknowledgement. */
  readonly roundTripMs: number | undefined;
  /** The answer is complete; with `reset` the client had not finished and was told to stop. */
  onAnswered(stream: Http2Stream, reset: boolean): void;
  resetStream(stream: Http2Stream, code: ErrorCode): void;
  /** A stream got an acknowledgement, which the client may meet with a WINDOW_UPDATE and a PING. */
  onAcknowledged(): void;
}

const EMPTY_MESSAGE = Buffer.alloc(5);

export class Http2Stream {
  readonly id: number;
  readonly host: StreamHost;
  consumer: StreamConsumer | undefined;
  isRemoteClosed = false;
  isClosed = false;
  areHeadersSent = false;
  receiveWindowBytes = STREAM_WINDOW_BYTES;
  sendWindowBytes: number;
  /** Sweeps since the last DATA. */
  quietMs = 0;
  /** Still to come according to content-length; -1 where none was given. */
  #expectedBytes: number;
  #waiting: Buffer[] | undefined;
  /** Of the first that waits, what has left. */
  #leftBytes = 0;
  #trailers: Fields | undefined;

  constructor(id: number, host: StreamHost, sendWindowBytes: number, contentLength: number) {
    this.id = id;
    this.host = host;
    this.sendWindowBytes = sendWindowBytes;
    this.#expectedBytes = contentLength;
  }

  /** Messages that wait for a window. */
  get waitingMessages(): number {
    return this.#waiting?.length ?? 0;
  }

  /** 200, an empty message, grpc-status 0: the answer to nearly everything. */
  answerEmpty(): void {
    const { host } = this;
    const isRoom =
      this.sendWindowBytes >= EMPTY_MESSAGE.length && host.sendWindow.availableBytes >= EMPTY_MESSAGE.length;
    if (!isRoom || this.areHeadersSent || this.#waiting !== undefined) {
      this.sendHeaders();
      this.sendMessage(EMPTY_MESSAGE);
      this.sendTrailers(OK_TRAILERS);
      return;
    }
    const { responseHeaders } = host;
    host.sendWindow.take(EMPTY_MESSAGE.length);
    const headers = responseHeaders.headers();
    host.writer.emptyAnswer(this.id, headers, responseHeaders.okTrailers());
    this.#complete();
  }

  sendHeaders(extra: Fields = []): void {
    if (this.areHeadersSent || this.isClosed) return;
    this.areHeadersSent = true;
    const { responseHeaders, writer } = this.host;
    const block = responseHeaders.headers();
    writer.headers(this.id, extra.length === 0 ? block : responseHeaders.fields(extra, block), false);
  }

  /** A message with its prefix. Headers are sent before it. True when it has left entirely. */
  sendMessage(bytes: Buffer): boolean {
    if (this.isClosed) return true;
    (this.#waiting ??= []).push(bytes);
    return this.pump();
  }

  /** Ends the answer, once all messages have left. Without headers before it, it is the whole answer. */
  sendTrailers(fields: Fields): void {
    if (this.isClosed || this.#trailers !== undefined) return;
    this.#trailers = fields;
    this.pump();
  }

  /** An answer without any gRPC in it: 415 and the like. */
  answerHttp(status: number): void {
    if (this.isClosed) return;
    this.host.caller.hopelessCalls++;
    this.host.writer.headers(this.id, this.host.responseHeaders.fields([], httpStatus(status)), true);
    this.#complete();
  }

  /** Section 6.9: lets the client send `bytes` more on this stream. */
  grant(bytes: number): void {
    if (this.isClosed || this.isRemoteClosed || bytes <= 0) return;
    this.receiveWindowBytes += bytes;
    this.host.writer.windowUpdate(this.id, bytes);
  }

  /** Section 8.1.1: content-length and the DATA frames agree. False when they do not. */
  countContent(bytes: number, isLast: boolean): boolean {
    if (this.#expectedBytes < 0) return true;
    this.#expectedBytes -= bytes;
    return this.#expectedBytes >= 0 && !(isLast && this.#expectedBytes > 0);
  }

  reset(code: ErrorCode): void {
    if (!this.isClosed) this.host.resetStream(this, code);
  }

  /** False when the window would grow beyond what is allowed (section 6.9.1). */
  widenSendWindow(bytes: number): boolean {
    this.sendWindowBytes += bytes;
    return this.sendWindowBytes <= MAX_WINDOW_BYTES;
  }

  /** Sends what the windows allow. True when nothing waits. */
  pump(): boolean {
    if (this.isClosed) return true;
    const waiting = this.#waiting;
    if (waiting !== undefined && !this.#pumpMessages(waiting)) return false;
    if (this.#trailers !== undefined) this.#writeTrailers(this.#trailers);
    return true;
  }

  #pumpMessages(waiting: Buffer[]): boolean {
    const { writer, sendWindow } = this.host;
    while (waiting.length > 0) {
      const message = waiting[0]!;
      const allowed = Math.min(this.sendWindowBytes, sendWindow.availableBytes, DEFAULT_FRAME_BYTES);
      const rest = message.length - this.#leftBytes;
      const count = Math.min(rest, allowed);
      if (count <= 0 && rest > 0) {
        if (this.sendWindowBytes > 0) sendWindow.wait(this);
        return false;
      }
      writer.data(this.id, message, this.#leftBytes, this.#leftBytes + count, false);
      this.sendWindowBytes -= count;
      sendWindow.take(count);
      this.#leftBytes += count;
      if (count === rest) {
        waiting.shift();
        this.#leftBytes = 0;
      }
    }
    this.#waiting = undefined;
    if (this.#trailers === undefined) this.consumer?.onDrained();
    return true;
  }

  #writeTrailers(fields: Fields): void {
    const { responseHeaders, writer } = this.host;
    let block: Buffer;
    if (!this.areHeadersSent) block = responseHeaders.fields(fields, TRAILERS_ONLY_START);
    else if (fields === OK_TRAILERS) block = responseHeaders.okTrailers();
    else block = responseHeaders.fields(fields);
    writer.headers(this.id, block, true);
    this.#complete();
  }

  #complete(): void {
    const reset = !this.isRemoteClosed;
    // Section 8.1: the whole answer is out, the rest of the request is not wanted.
    if (reset) this.host.writer.rstStream(this.id, ERROR_CODE.NO_ERROR);
    this.isClosed = true;
    this.host.onAnswered(this, reset);
  }
}
