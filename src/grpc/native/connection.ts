/**
 * One HTTP/2 connection of a client (RFC 9113): takes frames in, keeps the streams, knows no gRPC.
 *
 *   waiting ──preface, SETTINGS──▶ open ──goAway()──▶ leaving ──PING back twice, or grace──▶ last id said ─┐
 *      │                            └── a fault: GOAWAY ─────────────────▶ ending ◀── no streams left ┘
 *      └── PREFACE_TIMEOUT_MS, no HTTP/2 ──▶ ending ──the socket is closed──▶ closed
 *
 * Invariants:
 * 1. `#streams` holds exactly the streams that are not closed; one leaves it in `#forget` and nowhere else.
 * 2. Every header block is decoded, wanted or not, as the tables of both sides must stay the same.
 * 3. After a fault nothing is read any more (`isDeaf`), and every open stream's consumer has been told.
 * 4. Stream errors reset the stream, connection errors end the connection (section 5.4).
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { formatListenAddress } from '../../base/listen-address.ts';
import { ClosedStreams, FINISHED, RESET_BY_CLIENT, RESET_BY_US } from './closed-streams.ts';
import { FloodGuard } from './flood-guard.ts';
import { ReceiveWindow, SendWindow } from './flow-control.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { HeaderAssembly } from './header-assembly.ts';
import { HeaderCache } from './header-cache.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import * as limits from './limits.ts';
import { readSettings, type SettingsSink } from './peer-settings.ts';
import {
  ConnectionFault,
  DEFAULT_WINDOW_BYTES,
  ERROR_CODE,
  type ErrorCode,
  FLAG,
  FRAME,
  MAX_STREAM_ID,
  SETTING,
} from './protocol.ts';
import type { RequestHead, RequestHeadBuilder, TrailerCheck } from './request-head.ts';
import { ResponseHeaders } from './response-headers.ts';
import { type CloseReason, Http2Stream, type StreamConsumer, type StreamHost } from './stream.ts';
import type { WriteBuffers } from './write-buffers.ts';

/** What a connection needs of the server. */
export interface ConnectionHost {
  readonly clock: Clock;
  readonly buffers: WriteBuffers;
  readonly maxStreams: number;
  /** Takes the request on: sets the consumer and returns it, or answers at once and returns undefined. */
  accept(stream: Http2Stream, head: RequestHead): StreamConsumer | undefined;
  /** The connection has something to flush at the end of this turn. */
  onDue(connection: Http2Connection): void;
}

const ACK_PAYLOAD_BYTES = 8;
/** Ours, so that an answer to it is told from others: keepalive and the measure of a GOAWAY. */
const KEEPALIVE_PING = Buffer.from('keepaliv', 'latin1');
const GOAWAY_PING = Buffer.from('goingawa', 'latin1');

export class Http2Connection implements FrameSink, StreamHost, SettingsSink {
  readonly writer: FrameWriter;
  readonly responseHeaders = new ResponseHeaders();
  readonly sendWindow = new SendWindow();
  isDeaf = false;

  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder(limits.HEADER_TABLE_BYTES);
  readonly #headBuilder: RequestHeadBuilder;
  readonly #trailerCheck: TrailerCheck;
  readonly #headerCache = new HeaderCache();
  readonly #assembly = new HeaderAssembly();
  readonly #receiveWindow = new ReceiveWindow(limits.CONNECTION_WINDOW_BYTES);
  readonly #streams = new Map<number, Http2Stream>();
  readonly #closed = new ClosedStreams();
  /** Wait for the connection's window, in order. */
  readonly #blocked = new Set<Http2Stream>();
  readonly #floods = {
    reset: new FloodGuard('RST_STREAM frames', limits.RESET_FLOOD),
    fault: new FloodGuard('faulty streams', limits.FAULT_FLOOD),
    ping: new FloodGuard('PING frames', limits.PING_FLOOD),
    settings: new FloodGuard('SETTINGS frames', limits.SETTINGS_FLOOD),
    emptyData: new FloodGuard('empty DATA frames', limits.EMPTY_DATA_FLOOD),
    windowUpdate: new FloodGuard('WINDOW_UPDATE frames', limits.WINDOW_UPDATE_FLOOD),
    idle: new FloodGuard('frames without effect', limits.IDLE_FRAME_FLOOD),
  };
  #peer: string | undefined;
  #lastStreamId = 0;
  /** Streams above are not taken any more; the last id of the final GOAWAY. */
  #finalStreamId = MAX_STREAM_ID;
  #initialSendWindowBytes = DEFAULT_WINDOW_BYTES;
  #isReading = false;
  #isLeaving = false;
  #isEnding = false;
  #hasSettings = false;
  #isSettingsAcknowledged = false;
  #isPaused = false;
  readonly #openedAtMs: number;
  #heardAtMs: number;
  #pingedAtMs = 0;
  #leavingAtMs = 0;
  #goAwayPings = 0;
  #takenAtMs: number;

  /** The builders are scratch space, shared by the connections of a thread. */
  constructor(
    socket: Socket,
    host: ConnectionHost,
    scratch: { head: RequestHeadBuilder; trailers: TrailerCheck },
  ) {
    this.#socket = socket;
    this.#host = host;
    this.#headBuilder = scratch.head;
    this.#trailerCheck = scratch.trailers;
    this.#reader = new FrameReader(this);
    this.#openedAtMs = host.clock.monotonicMs();
    this.#heardAtMs = this.#openedAtMs;
    this.#takenAtMs = this.#openedAtMs;
    this.writer = new FrameWriter(socket, host.buffers, this.#onDue, this.#onTaken);
    socket.on('data', this.#onChunk);
    socket.on('end', () => this.#end('cancelled'));
    // The close that follows says all there is to say.
    socket.on('error', () => {});
    socket.once('close', () => this.#onSocketClosed());
    this.writer.settings([
      [SETTING.MAX_CONCURRENT_STREAMS, host.maxStreams],
      [SETTING.INITIAL_WINDOW_SIZE, limits.STREAM_WINDOW_BYTES],
      [SETTING.MAX_HEADER_LIST_SIZE, limits.MAX_HEADER_LIST_BYTES],
    ]);
    this.writer.windowUpdate(0, limits.CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  get peer(): string {
    return (this.#peer ??= formatListenAddress(
      this.#socket.remoteAddress ?? 'unknown',
      this.#socket.remotePort ?? 0,
    ));
  }

  get streams(): IterableIterator<Http2Stream> {
    return this.#streams.values();
  }

  // --- life -------------------------------------------------------------------------------------------

  /** First step of leaving (section 6.8): says "no new calls" without naming a last one yet. */
  goAway(): void {
    if (this.#isLeaving || this.#isEnding) return;
    if (!this.#hasSettings) {
      // Nobody has spoken yet; there is nothing to wait for.
      this.#socket.destroy();
      return;
    }
    this.#isLeaving = true;
    this.#leavingAtMs = this.#host.clock.monotonicMs();
    this.writer.goaway(MAX_STREAM_ID, ERROR_CODE.NO_ERROR);
    this.writer.ping(GOAWAY_PING, 0, false);
  }

  /** Second step: names the last stream. The connection ends with its last stream. */
  #nameLastStream(): void {
    if (this.#finalStreamId !== MAX_STREAM_ID || this.#isEnding) return;
    this.#finalStreamId = this.#lastStreamId;
    this.writer.goaway(this.#lastStreamId, ERROR_CODE.NO_ERROR);
    if (this.#streams.size === 0) this.#end('cancelled');
  }

  /** No more patience: streams that are left are reset, what is written still goes out. */
  close(): void {
    if (this.#isEnding) return;
    if (this.#isLeaving) this.#nameLastStream();
    for (const stream of [...this.#streams.values()]) this.resetStream(stream, ERROR_CODE.CANCEL);
    this.#end('cancelled');
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Called once a second. */
  sweep(nowMs: number, elapsedMs: number): void {
    for (const flood of Object.values(this.#floods)) flood.refill(elapsedMs);
    if (this.#isEnding) return;
    if (!this.#hasSettings) {
      if (nowMs - this.#openedAtMs > limits.PREFACE_TIMEOUT_MS) this.#socket.destroy();
      return;
    }
    if (!this.#isSettingsAcknowledged && nowMs - this.#openedAtMs > limits.SETTINGS_TIMEOUT_MS) {
      this.#fail(new ConnectionFault(ERROR_CODE.SETTINGS_TIMEOUT, 'our SETTINGS were not acknowledged'));
    } else if (
      this.#assembly.streamId !== 0 &&
      nowMs - this.#assembly.openedAtMs > limits.HEADER_BLOCK_TIMEOUT_MS
    ) {
      this.#fail(new ConnectionFault(ERROR_CODE.ENHANCE_YOUR_CALM, 'a header block that does not end'));
    } else if (this.writer.unsentBytes > 0 && nowMs - this.#takenAtMs > limits.SLOW_READER_TIMEOUT_MS) {
      this.#socket.destroy();
    } else if (this.#isLeaving && nowMs - this.#leavingAtMs > limits.GOAWAY_GRACE_MS) {
      this.#nameLastStream();
    } else {
      this.#keepAlive(nowMs);
      this.#sweepStreams(elapsedMs);
    }
  }

  #keepAlive(nowMs: number): void {
    if (this.#isPaused || nowMs - this.#heardAtMs < limits.KEEPALIVE_TIME_MS) {
      this.#pingedAtMs = 0;
    } else if (this.#pingedAtMs === 0) {
      this.#pingedAtMs = nowMs;
      this.writer.ping(KEEPALIVE_PING, 0, false);
    } else if (nowMs - this.#pingedAtMs > limits.KEEPALIVE_TIMEOUT_MS) {
      this.#socket.destroy();
    }
  }

  #sweepStreams(elapsedMs: number): void {
    for (const stream of this.#streams.values()) {
      if (stream.isRemoteClosed) continue;
      if (++stream.quietSweeps * elapsedMs > limits.REQUEST_STALL_TIMEOUT_MS) stream.consumer?.onStalled();
    }
  }

  #fail(fault: ConnectionFault): void {
    if (this.#isEnding) return;
    this.isDeaf = true;
    this.writer.goaway(this.#lastStreamId, fault.code, fault.message);
    this.#end('protocol');
  }

  /** Sends what is written, then ends the connection. */
  #end(reason: CloseReason): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.isDeaf = true;
    this.#abandonStreams(reason);
    this.writer.flush();
    // What still comes is read and thrown away: unread bytes would turn our end into a reset, and the GOAWAY be lost.
    this.#socket.resume();
    this.#socket.end();
    this.#host.clock.setTimer(limits.GOODBYE_MS, () => this.#socket.destroy());
  }

  #onSocketClosed(): void {
    this.isDeaf = true;
    this.#isEnding = true;
    this.#abandonStreams('cancelled');
  }

  #abandonStreams(reason: CloseReason): void {
    for (const stream of this.#streams.values()) {
      stream.isClosed = true;
      stream.consumer?.onClosed(reason);
    }
    this.#streams.clear();
    this.#blocked.clear();
  }

  // --- bytes in and out -------------------------------------------------------------------------------

  readonly #onChunk = (chunk: Buffer): void => {
    if (this.isDeaf) return;
    this.#isReading = true;
    this.#heardAtMs = this.#host.clock.monotonicMs();
    try {
      this.#reader.read(chunk);
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error;
      this.#fail(error);
    } finally {
      this.#isReading = false;
      this.writer.flush();
    }
    if (this.writer.unsentBytes > limits.PAUSE_UNSENT_BYTES) this.#pause();
  };

  /** The first frame of a turn; at the end of a chunk we flush by ourselves. */
  readonly #onDue = (): void => {
    if (this.writer.unsentBytes === 0) this.#takenAtMs = this.#host.clock.monotonicMs();
    if (!this.#isReading) this.#host.onDue(this);
  };

  readonly #onTaken = (): void => {
    this.#takenAtMs = this.#host.clock.monotonicMs();
    if (this.#isPaused && this.writer.unsentBytes <= limits.PAUSE_UNSENT_BYTES / 2) {
      this.#isPaused = false;
      this.#socket.resume();
    }
  };

  flush(): void {
    this.writer.flush();
    const { unsentBytes } = this.writer;
    if (unsentBytes > limits.MAX_UNSENT_BYTES) this.#socket.destroy();
    else if (unsentBytes > limits.PAUSE_UNSENT_BYTES) this.#pause();
  }

  #pause(): void {
    if (this.#isPaused || this.isDeaf) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  // --- frames -----------------------------------------------------------------------------------------

  onPreface(): void {}

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (
      this.#assembly.streamId !== 0 &&
      (type !== FRAME.CONTINUATION || streamId !== this.#assembly.streamId)
    ) {
      throw protocolFault('a header block is interrupted');
    }
    if (!this.#hasSettings) {
      if (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0)
        throw protocolFault('the first frame is not SETTINGS');
      this.#hasSettings = true;
    }
    switch (type) {
      case FRAME.DATA:
        this.#onData(flags, streamId, bytes, start, end);
        break;
      case FRAME.HEADERS:
        this.#onHeaders(flags, streamId, bytes, start, end);
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
        this.#onContinuation(flags, streamId, bytes, start, end);
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
    stream.quietSweeps = 0;
    if (stream.expectedBytes >= 0 && !countExpected(stream, to - from, isLast)) {
      this.#streamFault(stream, ERROR_CODE.PROTOCOL_ERROR);
      return;
    }
    if (isLast) stream.isRemoteClosed = true;
    const consumer = stream.consumer!;
    if (to > from) consumer.onData(bytes, from, to, isLast);
    if (isLast) consumer.onEnd();
  }

  #onDataWithoutStream(streamId: number): void {
    if (streamId > this.#lastStreamId || (streamId & 1) === 0) {
      if (streamId > this.#finalStreamId) return;
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

  #onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0 || (streamId & 1) === 0)
      throw protocolFault('HEADERS on a stream id that is no client’s');
    let from = start;
    let to = end;
    if ((flags & FLAG.PADDED) !== 0) {
      if (from === to) throw sizeFault('padded HEADERS');
      to -= bytes[from++]!;
    }
    let dependency = -1;
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (to - from < 5) throw sizeFault('HEADERS with priority');
      dependency = bytes.readUInt32BE(from) & MAX_STREAM_ID;
      from += 5;
    }
    if (to < from) throw protocolFault('padding longer than its frame');
    if ((flags & FLAG.END_HEADERS) !== 0) {
      this.#onHeaderBlock(streamId, flags, dependency, bytes, from, to);
    } else {
      this.#assembly.open(streamId, flags, dependency, this.#heardAtMs);
      this.#assembly.add(bytes, from, to);
    }
  }

  #onContinuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const assembly = this.#assembly;
    if (assembly.streamId === 0 || streamId === 0) throw protocolFault('CONTINUATION of nothing');
    assembly.add(bytes, start, end);
    if ((flags & FLAG.END_HEADERS) === 0) return;
    const block = assembly.close();
    this.#onHeaderBlock(streamId, assembly.flags, assembly.dependency, block, 0, block.length);
  }

  #onHeaderBlock(
    streamId: number,
    flags: number,
    dependency: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const isLast = (flags & FLAG.END_STREAM) !== 0;
    if (streamId <= this.#lastStreamId) {
      this.#onTrailers(streamId, isLast, bytes, start, end);
      return;
    }
    const head = this.#head(bytes, start, end);
    this.#lastStreamId = streamId;
    // Section 6.8: beyond the last id that we named, the client knows that nobody will answer.
    if (streamId > this.#finalStreamId) return;
    if (this.#streams.size >= this.#host.maxStreams) {
      this.#refuse(streamId, ERROR_CODE.REFUSED_STREAM);
    } else if (head.malformed !== undefined || dependency === streamId) {
      this.#refuse(streamId, ERROR_CODE.PROTOCOL_ERROR);
    } else {
      this.#open(streamId, head, isLast);
    }
  }

  #head(bytes: Buffer, start: number, end: number): RequestHead {
    const { table } = this.#decoder;
    const known = this.#headerCache.find(table.version, bytes, start, end);
    if (known !== undefined) return known;
    const { version } = table;
    this.#headBuilder.begin();
    this.#decoder.decode(bytes, start, end, this.#headBuilder);
    const head = this.#headBuilder.finish();
    if (table.version === version) this.#headerCache.remember(version, bytes, start, end, head);
    return head;
  }

  #open(streamId: number, head: RequestHead, isLast: boolean): void {
    const stream = new Http2Stream(streamId, this, this.#initialSendWindowBytes, head.contentLength);
    this.#streams.set(streamId, stream);
    stream.isRemoteClosed = isLast;
    if (isLast && head.contentLength > 0) {
      this.#streamFault(stream, ERROR_CODE.PROTOCOL_ERROR);
      return;
    }
    if (head.isOversize) {
      stream.answerHttp(431);
      return;
    }
    const consumer = this.#host.accept(stream, head);
    if (isLast && !stream.isClosed) consumer?.onEnd();
  }

  /** A second header block on a stream. */
  #onTrailers(streamId: number, isLast: boolean, bytes: Buffer, start: number, end: number): void {
    this.#trailerCheck.begin();
    this.#decoder.decode(bytes, start, end, this.#trailerCheck);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      const how = this.#closed.how(streamId);
      if (how === 'reset-by-us') return;
      if (how === 'unknown') throw protocolFault('HEADERS on a stream id below the last');
      throw new ConnectionFault(ERROR_CODE.STREAM_CLOSED, 'HEADERS on a closed stream');
    }
    if (stream.isRemoteClosed) {
      this.#streamFault(stream, ERROR_CODE.STREAM_CLOSED);
    } else if (!isLast || this.#trailerCheck.isMalformed || !countExpected(stream, 0, true)) {
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
    if (streamId === 0 || (streamId > this.#lastStreamId && streamId <= this.#finalStreamId)) {
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
      this.#isSettingsAcknowledged = true;
      return;
    }
    const before = this.#initialSendWindowBytes;
    readSettings(bytes, start, end, this);
    this.writer.settingsAck();
    // Behind the acknowledgement, so that the client knows by which rule it left.
    if (this.#initialSendWindowBytes > before)
      for (const stream of [...this.#streams.values()]) stream.pump();
  }

  /** Section 6.9.2: the windows of all open streams move by the difference, even below zero. */
  onInitialWindowSize(bytes: number): void {
    const difference = bytes - this.#initialSendWindowBytes;
    this.#initialSendWindowBytes = bytes;
    for (const stream of this.#streams.values()) {
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
    if (end - start !== ACK_PAYLOAD_BYTES) throw sizeFault('PING');
    this.#floods.ping.take();
    if ((flags & FLAG.ACK) === 0) this.writer.ping(bytes, start, true);
    else if (this.#isLeaving && GOAWAY_PING.compare(bytes, start, end) === 0) this.#onGoAwayPing();
  }

  /**
   * The client knows that we leave. A client may let the acknowledgement overtake requests that it had in its
   * queue (nghttp2 does), but these come before the answer to a second PING.
   */
  #onGoAwayPing(): void {
    if (++this.#goAwayPings === 1) this.writer.ping(GOAWAY_PING, 0, false);
    else this.#nameLastStream();
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw sizeFault('WINDOW_UPDATE');
    this.#floods.windowUpdate.take();
    const increment = bytes.readUInt32BE(start) & MAX_STREAM_ID;
    if (streamId === 0) {
      if (increment === 0) throw protocolFault('WINDOW_UPDATE by nothing');
      this.sendWindow.widen(increment);
      this.#unblock();
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      // Section 5.1: on a closed stream it may come late.
      if (streamId > this.#lastStreamId && streamId <= this.#finalStreamId) {
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

  #unblock(): void {
    if (this.#blocked.size === 0) return;
    const blocked = [...this.#blocked];
    this.#blocked.clear();
    for (const stream of blocked) stream.pump();
  }

  // --- streams ----------------------------------------------------------------------------------------

  onBlocked(stream: Http2Stream): void {
    this.#blocked.add(stream);
  }

  onAnswered(stream: Http2Stream, reset: boolean): void {
    this.#floods.ping.give(1);
    this.#floods.windowUpdate.give(4);
    this.#forget(stream, reset ? RESET_BY_US : FINISHED);
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
    this.#closed.add(streamId, RESET_BY_US);
    this.writer.rstStream(streamId, code);
  }

  #forget(stream: Http2Stream, kind: number): void {
    stream.isClosed = true;
    this.#streams.delete(stream.id);
    if (this.#blocked.size > 0) this.#blocked.delete(stream);
    this.#closed.add(stream.id, kind);
    if (this.#streams.size === 0 && this.#finalStreamId !== MAX_STREAM_ID) this.#end('cancelled');
  }
}

/** Section 8.1.1: content-length and the DATA frames agree. False when they do not. */
function countExpected(stream: Http2Stream, bytes: number, isLast: boolean): boolean {
  if (stream.expectedBytes < 0) return true;
  stream.expectedBytes -= bytes;
  return stream.expectedBytes >= 0 && !(isLast && stream.expectedBytes > 0);
}

function protocolFault(message: string): ConnectionFault {
  return new ConnectionFault(ERROR_CODE.PROTOCOL_ERROR, message);
}

function sizeFault(frame: string): ConnectionFault {
  return new ConnectionFault(ERROR_CODE.FRAME_SIZE_ERROR, `${frame} of a wrong length`);
}
