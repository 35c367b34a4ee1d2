/**
 * The streams of one connection: takes its frames (RFC 9113 sections 5 and 6), knows no sockets and no gRPC.
 *
 *   greeting ──SETTINGS──▶ open ──nameLastStream()──▶ closing to new streams ──the last is gone──▶ `onEmptied`
 *      └── any other frame, or anything else against the rules: ConnectionFault, and the connection ends
 *
 * Invariants:
 * 1. `#streams` holds exactly the streams that are not closed; one leaves it in `#forget` or `abandon`.
 * 2. Stream errors reset the stream, connection errors are thrown (section 5.4).
 */
import type { Caller } from '../caller.ts';
import { ClosedStreams, FINISHED, RESET_BY_CLIENT, RESET_BY_US } from './closed-streams.ts';
import { ConnectionFloods } from './flood-guard.ts';
import { ReceiveWindow, SendWindow } from './flow-control.ts';
import type { FrameSink } from './frame-reader.ts';
import type { FrameWriter } from './frame-writer.ts';
import { type HeaderScratch, type HeadersSink, IncomingHeaders } from './incoming-headers.ts';
import { CONNECTION_WINDOW_BYTES, REQUEST_STALL_TIMEOUT_MS } from './limits.ts';
import { readSettings, type SettingsSink } from './peer-settings.ts';
import {
  ConnectionFault,
  DEFAULT_WINDOW_BYTES,
  ERROR_CODE,
  type ErrorCode,
  FLAG,
  FRAME,
  MAX_STREAM_ID,
  protocolFault,
  sizeFault,
} from './protocol.ts';
import type { RequestHead } from './request-head.ts';
import { ResponseHeaders } from './response-headers.ts';
import { type CloseReason, Http2Stream, type StreamConsumer, type StreamHost } from './stream.ts';
import { StreamTable } from './stream-table.ts';

/** What the streams need of their connection. */
export interface SessionHost {
  readonly peer: string;
  readonly caller: Caller;
  /** When the chunk that is being read arrived. */
  readonly heardAtMs: number;
  readonly openedAtMs: number;
  readonly maxStreams: number;
  /** Takes the request on: sets the consumer and returns it, or answers at once and returns undefined. */
  accept(stream: Http2Stream, head: RequestHead): StreamConsumer | undefined;
  /** An answer to a PING of ours. */
  onPingAck(bytes: Buffer, start: number, end: number): void;
  /** After `nameLastStream`: no stream is left. */
  onEmptied(): void;
}

const PING_BYTES = 8;

export class Http2Session implements FrameSink, HeadersSink, StreamHost, SettingsSink {
  readonly writer: FrameWriter;
  readonly responseHeaders = new ResponseHeaders();
  readonly sendWindow = new SendWindow();
  readonly headers: IncomingHeaders;
  isDeaf = false;
  /** The client's SETTINGS came: it speaks HTTP/2. */
  hasSettings = false;
  roundTripMs: number | undefined;
  lastStreamId = 0;
  readonly #host: SessionHost;
  readonly #receiveWindow = new ReceiveWindow(CONNECTION_WINDOW_BYTES);
  readonly #streams = new StreamTable<Http2Stream>();
  readonly #closed = new ClosedStreams();
  readonly #floods = new ConnectionFloods();
  /** Streams above are not taken any more; the last id of the final GOAWAY. */
  #finalStreamId = MAX_STREAM_ID;
  #initialSendWindowBytes = DEFAULT_WINDOW_BYTES;

  constructor(writer: FrameWriter, host: SessionHost, scratch: HeaderScratch) {
    this.writer = writer;
    this.#host = host;
    this.headers = new IncomingHeaders(this, scratch);
  }

  get peer(): string {
    return this.#host.peer;
  }
  get caller(): Caller {
    return this.#host.caller;
  }
  get streams(): readonly Http2Stream[] {
    return this.#streams.all();
  }
  get isLastNamed(): boolean {
    return this.#finalStreamId !== MAX_STREAM_ID;
  }

  /** Says with GOAWAY which stream is the last that will be answered (section 6.8). */
  nameLastStream(): void {
    if (this.isLastNamed) return;
    this.#finalStreamId = this.lastStreamId;
    this.writer.goaway(this.lastStreamId, ERROR_CODE.NO_ERROR);
    if (this.#streams.size === 0) this.#host.onEmptied();
  }

  /** The connection is gone, or will be at once: nothing more is read, every stream ends. */
  abandon(reason: CloseReason): void {
    this.isDeaf = true;
    for (const stream of this.#streams.all()) {
      stream.isClosed = true;
      stream.consumer?.onClosed(reason);
    }
    this.#streams.clear();
  }

  /** Called once a second. `isHeldUp`: what the client has sent may lie unread. */
  sweep(elapsedMs: number, isHeldUp: boolean): void {
    this.#floods.refill(elapsedMs);
    this.#streams.trim();
    for (const stream of this.#streams.all()) {
      if (stream.isRemoteClosed || isHeldUp) continue;
      if ((stream.quietMs += elapsedMs) > REQUEST_STALL_TIMEOUT_MS) stream.consumer?.onStalled();
    }
  }

  // --- frames -----------------------------------------------------------------------------------------

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (this.headers.openStreamId !== 0 && type !== FRAME.CONTINUATION) {
      throw protocolFault('a header block is interrupted');
    }
    if (!this.hasSettings) {
      if (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0)
        throw protocolFault('the first frame is not SETTINGS');
      this.hasSettings = true;
    }
    switch (type) {
      case FRAME.DATA:
        this.#onData(flags, streamId, bytes, start, end);
        break;
      case FRAME.HEADERS:
        this.headers.onHeaders(flags, streamId, bytes, start, end, this.#host.heardAtMs);
        break;
      case FRAME.PRIORITY:
        this.#onPriority(streamId, bytes, start, end);
        break;
      case FRAME.RST_STREAM:
        this.#onRstStream(streamId, start, end);
        break;
      case FRAME.SETTINGS:
        this.#onSettings(flags, streamId, bytes, start, end);
        break;
      case FRAME.PUSH_PROMISE:
        throw protocolFault('a client must not push');
      case FRAME.PING:
        this.#onPing(flags, streamId, bytes, start, end);
        break;
      case FRAME.GOAWAY:
        if (streamId !== 0) throw protocolFault('GOAWAY on a stream');
        if (end - start < 8) throw sizeFault('GOAWAY');
        // The client opens no more streams; those open end as they would have.
        this.#floods.idle.take();
        break;
      case FRAME.WINDOW_UPDATE:
        this.#onWindowUpdate(streamId, bytes, start, end);
        break;
      case FRAME.CONTINUATION:
        this.headers.onContinuation(flags, streamId, bytes, start, end);
        break;
      default:
        // Section 4.1: unknown types are ignored.
        this.#floods.idle.take();
    }
  }

  #onData(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) throw protocolFault('DATA on the connection');
    const increment = this.#receiveWindow.receive(end - start);
    if (increment > 0) this.writer.windowUpdate(0, increment);
    let from = start;
    let to = end;
    if ((flags & FLAG.PADDED) !== 0) {
      if (from === to) throw sizeFault('padded DATA');
      to -= bytes[from++]!;
      if (to < from) throw protocolFault('padding longer than its frame');
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#onDataWithoutStream(streamId);
      return;
    }
    if (stream.isRemoteClosed) {
      this.#streamFault(stream, ERROR_CODE.STREAM_CLOSED);
      return;
    }
    stream.receiveWindowBytes -= end - start;
    if (stream.receiveWindowBytes < 0) {
      this.#streamFault(stream, ERROR_CODE.FLOW_CONTROL_ERROR);
      return;
    }
    const isLast = (flags & FLAG.END_STREAM) !== 0;
    if (from === to && !isLast) this.#floods.emptyData.take();
    const paddingBytes = end - start - (to - from);
    if (paddingBytes > 0 && !isLast) stream.grant(paddingBytes);
    stream.quietMs = 0;
    if (!stream.countContent(to - from, isLast)) {
      this.#streamFault(stream, ERROR_CODE.PROTOCOL_ERROR);
      return;
    }
    if (isLast) stream.isRemoteClosed = true;
    const consumer = stream.consumer!;
    if (to > from) consumer.onData(bytes, from, to, isLast);
    if (isLast) consumer.onEnd();
  }

  #onDataWithoutStream(streamId: number): void {
    if (streamId > this.#finalStreamId) return;
    if (streamId > this.lastStreamId || (streamId & 1) === 0) {
      throw protocolFault('DATA on a stream that is not open');
    }
    const how = this.#closed.how(streamId);
    if (how === 'reset-by-us') return;
    if (how === 'unknown') {
      this.#floods.fault.take();
      this.writer.rstStream(streamId, ERROR_CODE.STREAM_CLOSED);
      return;
    }
    throw new ConnectionFault(ERROR_CODE.STREAM_CLOSED, 'DATA on a closed stream');
  }

  onRequestHead(streamId: number, isLast: boolean, dependsOnItself: boolean, head: RequestHead): void {
    this.lastStreamId = streamId;
    // Section 6.8: beyond the last id that we named, the client knows that nobody will answer.
    if (streamId > this.#finalStreamId) return;
    if (this.#streams.size >= this.#host.maxStreams) {
      this.#refuse(streamId, ERROR_CODE.REFUSED_STREAM);
    } else if (head.malformed !== undefined || dependsOnItself) {
      this.#refuse(streamId, ERROR_CODE.PROTOCOL_ERROR);
    } else {
      this.#open(streamId, head, isLast);
    }
  }

  #open(streamId: number, head: RequestHead, isLast: boolean): void {
    const stream = new Http2Stream(streamId, this, this.#initialSendWindowBytes, head.contentLength);
    this.#streams.add(stream);
    stream.isRemoteClosed = isLast;
    if (isLast && !stream.countContent(0, true)) {
      this.#streamFault(stream, ERROR_CODE.PROTOCOL_ERROR);
    } else if (head.isOversize) {
      stream.answerHttp(431);
    } else {
      const consumer = this.#host.accept(stream, head);
      if (isLast && !stream.isClosed) consumer?.onEnd();
    }
  }

  onTrailers(streamId: number, isLast: boolean, isMalformed: boolean): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (streamId > this.#finalStreamId) return;
      const how = this.#closed.how(streamId);
      if (how === 'reset-by-us') return;
      if (how === 'unknown') throw protocolFault('HEADERS on a stream id below the last');
      throw new ConnectionFault(ERROR_CODE.STREAM_CLOSED, 'HEADERS on a closed stream');
    }
    if (stream.isRemoteClosed) {
      this.#streamFault(stream, ERROR_CODE.STREAM_CLOSED);
    } else if (!isLast || isMalformed || !stream.countContent(0, true)) {
      this.#streamFault(stream, ERROR_CODE.PROTOCOL_ERROR);
    } else {
      stream.isRemoteClosed = true;
      stream.consumer!.onEnd();
    }
  }

  /** Section 5.3 is history; only its formal errors are left. */
  #onPriority(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) throw protocolFault('PRIORITY on the connection');
    this.#floods.idle.take();
    if (end - start !== 5) {
      const stream = this.#streams.get(streamId);
      if (stream === undefined) throw sizeFault('PRIORITY');
      this.#streamFault(stream, ERROR_CODE.FRAME_SIZE_ERROR);
    } else if ((bytes.readUInt32BE(start) & MAX_STREAM_ID) === streamId) {
      throw protocolFault('a stream that depends on itself');
    }
  }

  #onRstStream(streamId: number, start: number, end: number): void {
    if (end - start !== 4) throw sizeFault('RST_STREAM');
    if (streamId === 0 || (streamId > this.lastStreamId && streamId <= this.#finalStreamId)) {
      throw protocolFault('RST_STREAM on a stream that is not open');
    }
    this.#floods.reset.take();
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    this.#forget(stream, RESET_BY_CLIENT);
    stream.consumer?.onClosed('cancelled');
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolFault('SETTINGS on a stream');
    this.#floods.settings.take();
    if ((flags & FLAG.ACK) !== 0) {
      if (end !== start) throw sizeFault('an acknowledgement of SETTINGS');
      this.roundTripMs ??= this.#host.heardAtMs - this.#host.openedAtMs;
      return;
    }
    const before = this.#initialSendWindowBytes;
    readSettings(bytes, start, end, this);
    this.writer.settingsAck();
    // Behind the acknowledgement, so that the client knows by which rule it left.
    if (this.#initialSendWindowBytes > before) for (const stream of this.#streams.all()) stream.pump();
  }

  /** Section 6.9.2: the windows of all open streams move by the difference, even below zero. */
  onInitialWindowSize(bytes: number): void {
    const difference = bytes - this.#initialSendWindowBytes;
    this.#initialSendWindowBytes = bytes;
    for (const stream of this.#streams.all()) {
      if (!stream.widenSendWindow(difference)) {
        throw new ConnectionFault(ERROR_CODE.FLOW_CONTROL_ERROR, 'a stream window beyond its bound');
      }
    }
  }

  onHeaderTableSize(bytes: number): void {
    this.responseHeaders.onTableLimit(bytes);
  }

  #onPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolFault('PING on a stream');
    if (end - start !== PING_BYTES) throw sizeFault('PING');
    this.#floods.ping.take();
    if ((flags & FLAG.ACK) === 0) this.writer.ping(bytes, start, true);
    else this.#host.onPingAck(bytes, start, end);
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw sizeFault('WINDOW_UPDATE');
    this.#floods.windowUpdate.take();
    const increment = bytes.readUInt32BE(start) & MAX_STREAM_ID;
    if (streamId === 0) {
      if (increment === 0) throw protocolFault('WINDOW_UPDATE by nothing');
      this.sendWindow.widen(increment);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      // Section 5.1: on a closed stream it may come late.
      if (streamId > this.lastStreamId && streamId <= this.#finalStreamId) {
        throw protocolFault('WINDOW_UPDATE on a stream that is not open');
      }
    } else if (increment === 0) {
      this.#streamFault(stream, ERROR_CODE.PROTOCOL_ERROR);
    } else if (stream.widenSendWindow(increment)) {
      stream.pump();
    } else {
      this.#streamFault(stream, ERROR_CODE.FLOW_CONTROL_ERROR);
    }
  }

  // --- streams ----------------------------------------------------------------------------------------

  onAnswered(stream: Http2Stream, reset: boolean): void {
    this.#floods.ping.give(1);
    this.#floods.windowUpdate.give(4);
    this.#forget(stream, reset ? RESET_BY_US : FINISHED);
  }

  onAcknowledged(): void {
    this.#floods.ping.give(1);
    this.#floods.windowUpdate.give(4);
  }

  resetStream(stream: Http2Stream, code: ErrorCode): void {
    if (stream.isClosed) return;
    this.writer.rstStream(stream.id, code);
    this.#forget(stream, RESET_BY_US);
    stream.consumer?.onClosed(code === ERROR_CODE.CANCEL ? 'cancelled' : 'protocol');
  }

  /** Section 5.4.2: what the client did wrong concerns this stream alone. */
  #streamFault(stream: Http2Stream, code: ErrorCode): void {
    this.#floods.fault.take();
    this.resetStream(stream, code);
  }

  /** A stream that is reset before it exists for us. */
  #refuse(streamId: number, code: ErrorCode): void {
    this.#floods.fault.take();
    this.caller[code === ERROR_CODE.REFUSED_STREAM ? 'wastedCalls' : 'hopelessCalls']++;
    this.#closed.add(streamId, RESET_BY_US);
    this.writer.rstStream(streamId, code);
  }

  #forget(stream: Http2Stream, kind: number): void {
    stream.isClosed = true;
    this.#streams.delete(stream.id);
    this.sendWindow.leave(stream);
    this.#closed.add(stream.id, kind);
    if (this.#streams.size === 0 && this.isLastNamed) this.#host.onEmptied();
  }
}
