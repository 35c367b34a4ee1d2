/**
 * One connection of a client: the socket, its time limits and its end. What the frames mean is for session.ts.
 *
 *   waiting ──preface, SETTINGS──▶ open ──goAway()──▶ leaving ──PING back twice, or grace──▶ last id said ─┐
 *      │                            └── a fault: GOAWAY ───────────────────────▶ ending ◀── no streams left ┘
 *      └── PREFACE_TIMEOUT_MS, no HTTP/2 ──▶ ending ──the socket is closed──▶ closed
 *
 * Invariants:
 * 1. After a fault nothing is read any more, and every open stream's consumer has been told.
 * 2. All that was written while a chunk was read leaves in one write at its end.
 * 3. Nobody holds the thread for much longer than TURN_SHARE_MS while others wait: whoever sends more than that
 *    makes work goes on after them, and the connections of one client share its time (client-turns.ts). All who are
 *    dear have less between them (dear-turns.ts).
 * 4. While bytes are held back the socket is not read, so there are never more than one read brought.
 */
import type { Socket } from 'node:net';
import type { BufferPool } from '../../base/buffer-pool.ts';
import type { Client } from '../../base/client.ts';
import type { Clock } from '../../base/clock.ts';
import { formatListenAddress } from '../../base/listen-address.ts';
import { Caller, type Door } from '../caller.ts';
import { certificateSubject } from '../tls/tls-entrance.ts';
import type { ClientTurns } from './client-turns.ts';
import type { DearLimit } from './dear-limit.ts';
import type { DearTurns } from './dear-turns.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import type { HeaderScratch } from './incoming-headers.ts';
import * as limits from './limits.ts';
import { ConnectionFault, DEFAULT_WINDOW_BYTES, ERROR_CODE, MAX_STREAM_ID, SETTING } from './protocol.ts';
import type { RequestHead } from './request-head.ts';
import { Http2Session, type SessionHost } from './session.ts';
import type { CloseReason, Http2Stream, StreamConsumer } from './stream.ts';
import { TurnShare } from './turn-share.ts';
import type { WriteBuffers } from './write-buffers.ts';

/** What a connection needs of the server. */
export interface ConnectionHost {
  readonly door: Door;
  readonly clock: Clock;
  readonly buffers: WriteBuffers;
  /** For what came in pieces. */
  readonly memory: BufferPool;
  readonly maxStreams: number;
  /** Takes the request on: sets the consumer and returns it, or answers at once and returns undefined. */
  accept(stream: Http2Stream, head: RequestHead): StreamConsumer | undefined;
  /** A read is about to be worked off. */
  onWork(nowMs: number): void;
  /** The connection has something to flush at the end of this turn. */
  onDue(connection: Http2Connection): void;
  readonly turns: ClientTurns;
  readonly dear: DearTurns;
  readonly dearLimit: DearLimit;
  /** How many connections keep what they have read (READ_BUFFER_BYTES each) until then: MAX_HELD_BACK at most. */
  heldBack: number;
}

/** Ours, so that an answer to it is told from others: keepalive and the measure of a GOAWAY. */
const KEEPALIVE_PING = Buffer.from('keepaliv', 'latin1');
const GOAWAY_PING = Buffer.from('goingawa', 'latin1');

export class Http2Connection implements SessionHost {
  heardAtMs: number;
  readonly openedAtMs: number;
  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #writer: FrameWriter;
  readonly #session: Http2Session;
  readonly #reader: FrameReader;
  #peer: string | undefined;
  #caller: Caller | undefined;
  #isReading = false;
  #isLeaving = false;
  #isEnding = false;
  /** It does not take its answers: nothing more is read until it does. */
  #isPaused = false;
  /** It has had its share of this turn. */
  #hasYielded = false;
  /** Of the thread; the kernel hands on up to 2 MiB of one socket before it looks at another. */
  readonly #share: TurnShare;
  #heldBack: Buffer | undefined;
  #takenAtMs: number;
  /** 0 while no keepalive is on its way. */
  #pingedAtMs = 0;
  #leavingAtMs = 0;
  /** When a sweep last found that we do not read. */
  #heldUpAtMs = 0;
  #goAwayPings = 0;

  constructor(socket: Socket, host: ConnectionHost, scratch: HeaderScratch) {
    this.#socket = socket;
    this.#host = host;
    this.openedAtMs = host.clock.monotonicMs();
    this.heardAtMs = this.openedAtMs;
    this.#takenAtMs = this.openedAtMs;
    this.#share = new TurnShare(host.dearLimit);
    this.#writer = new FrameWriter(socket, host.buffers, this.#onDue, this.#onTaken);
    this.#session = new Http2Session(this.#writer, this, scratch);
    this.#reader = new FrameReader(this.#session, host.memory);
    socket.on('data', this.#onChunk);
    socket.on('end', () => this.#end('cancelled'));
    // The close that follows says all there is to say.
    socket.on('error', () => {});
    socket.once('close', () => this.#onSocketClosed());
    this.#writer.settings([
      [SETTING.MAX_CONCURRENT_STREAMS, host.maxStreams],
      [SETTING.INITIAL_WINDOW_SIZE, limits.STREAM_WINDOW_BYTES],
      [SETTING.MAX_HEADER_LIST_SIZE, limits.MAX_HEADER_LIST_BYTES],
    ]);
    this.#writer.windowUpdate(0, limits.CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  get maxStreams(): number {
    return this.#host.maxStreams;
  }

  get peer(): string {
    return (this.#peer ??= formatListenAddress(
      this.#socket.remoteAddress ?? 'unknown',
      this.#socket.remotePort ?? 0,
    ));
  }

  get caller(): Caller {
    return (this.#caller ??= new Caller(
      this.#host.door,
      certificateSubject(this.#socket),
      this.#socket.remoteAddress,
    ));
  }

  get client(): Client | undefined {
    return this.#caller?.client;
  }

  get streams(): readonly Http2Stream[] {
    return this.#session.streams;
  }

  accept(stream: Http2Stream, head: RequestHead): StreamConsumer | undefined {
    const consumer = this.#host.accept(stream, head);
    if (this.#isLeaving) consumer?.onLeaving?.();
    return consumer;
  }

  // --- bytes in and out -------------------------------------------------------------------------------

  readonly #onChunk = (chunk: Buffer): void => {
    if (this.#session.isDeaf) {
      this.#discard();
      return;
    }
    if (this.#heldBack !== undefined) {
      // A socket that is paused may still have had something for us; it comes after what is held back.
      this.#heldBack = Buffer.concat([this.#heldBack, chunk]);
      return;
    }
    this.#takeTurn(chunk, false);
  };

  /** Of a connection that has ended: its client is to find its end, and not to keep us busy until then. */
  #discard(): void {
    this.#socket.pause();
    this.#host.clock.setTimer(limits.DISCARD_INTERVAL_MS, () => this.#socket.resume());
  }

  /** `isOurs`: it may be kept as it is; what was just read lies in a buffer that is everybody's. */
  #takeTurn(chunk: Buffer, isOurs: boolean): void {
    const { clock, dear, turns } = this.#host;
    this.heardAtMs = clock.monotonicMs();
    const isDear = this.#share.state === 'dear';
    if (isDear && dear.isUsedUp && this.#holdBack(chunk, isOurs)) {
      this.#yield();
      return;
    }
    if (!isDear) dear.othersChunks++;
    this.#host.onWork(this.heardAtMs);
    this.#share.begin(this.heardAtMs, clock);
    this.#isReading = true;
    try {
      if (this.#share.state === 'ordinary') this.#reader.read(chunk);
      else this.#readSlices(chunk, isOurs, isDear ? dear.leftMs : limits.DEAR_TURN_SHARE_MS);
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error;
      this.#fail(error);
    } finally {
      this.#isReading = false;
      this.#writer.flush();
    }
    const heldBackBytes = this.#heldBack?.length ?? 0;
    let isTurnOver = this.#share.end(clock, chunk.length - heldBackBytes, this.caller);
    if (isDear) dear.spend(this.#share.workedMs);
    else if (turns.worked(this.client, this.#share.workedMs, this.heardAtMs)) isTurnOver = true;
    if (this.#writer.unsentBytes > limits.PAUSE_UNSENT_BYTES) this.#pause();
    if (heldBackBytes > 0 || (this.#share.state === 'dear' ? dear.isUsedUp : isTurnOver)) this.#yield();
  }

  /** As much as the turn has time for; the rest is held back. */
  #readSlices(chunk: Buffer, isOurs: boolean, allowedMs: number): void {
    for (let at = 0; at < chunk.length && !this.#session.isDeaf; ) {
      const end = Math.min(at + limits.DEAR_SLICE_BYTES, chunk.length);
      this.#reader.read(chunk.subarray(at, end));
      at = end;
      if (at === chunk.length || !this.#share.isUsedUp(this.#host.clock.monotonicMs(), allowedMs)) continue;
      if (this.#holdBack(chunk.subarray(at), isOurs)) return;
    }
  }

  /** False when too many do already. */
  #holdBack(rest: Buffer, isOurs: boolean): boolean {
    if (this.#host.heldBack >= limits.MAX_HELD_BACK) return false;
    this.#heldBack = isOurs ? rest : Buffer.from(rest);
    this.#host.heldBack++;
    return true;
  }

  #yield(): void {
    if (this.#hasYielded || this.#session.isDeaf) return;
    this.#hasYielded = true;
    this.#socket.pause();
    if (this.#share.state === 'dear') this.#host.dear.wait(this);
    else this.#host.turns.wait(this);
  }

  #takeHeldBack(): Buffer | undefined {
    const heldBack = this.#heldBack;
    this.#heldBack = undefined;
    if (heldBack !== undefined) this.#host.heldBack--;
    return heldBack;
  }

  /** The others had their share. */
  goOn(): void {
    this.#hasYielded = false;
    this.#share.renew();
    this.#resume();
  }

  /** What was held back comes first; it may be more than one turn's work again. */
  #resume(): void {
    if (this.#isPaused || this.#hasYielded || this.#isEnding) return;
    const heldBack = this.#takeHeldBack();
    if (heldBack !== undefined) this.#takeTurn(heldBack, true);
    if (!this.#isPaused && !this.#hasYielded && !this.#isEnding) this.#socket.resume();
  }

  /** The first frame of a turn; at the end of a chunk we flush by ourselves. */
  readonly #onDue = (): void => {
    if (this.#writer.unsentBytes === 0) this.#takenAtMs = this.#host.clock.monotonicMs();
    if (!this.#isReading) this.#host.onDue(this);
  };

  readonly #onTaken = (): void => {
    this.#takenAtMs = this.#host.clock.monotonicMs();
    if (this.#isPaused && this.#writer.unsentBytes <= limits.PAUSE_UNSENT_BYTES / 2) {
      this.#isPaused = false;
      this.#resume();
    }
  };

  flush(): void {
    this.#writer.flush();
    const { unsentBytes } = this.#writer;
    if (unsentBytes > limits.MAX_UNSENT_BYTES) this.#socket.destroy();
    else if (unsentBytes > limits.PAUSE_UNSENT_BYTES) this.#pause();
  }

  #pause(): void {
    if (this.#isPaused || this.#session.isDeaf) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  // --- life -------------------------------------------------------------------------------------------

  /** First step of leaving (section 6.8): says "no new calls" without naming a last one yet. */
  goAway(): void {
    if (this.#isLeaving || this.#isEnding) return;
    if (!this.#session.hasSettings) {
      // Nobody has spoken yet; there is nothing to wait for.
      this.#socket.destroy();
      return;
    }
    this.#isLeaving = true;
    this.#leavingAtMs = this.#host.clock.monotonicMs();
    this.#writer.goaway(MAX_STREAM_ID, ERROR_CODE.NO_ERROR);
    this.#writer.ping(GOAWAY_PING, 0, false);
    for (const stream of this.streams) stream.consumer?.onLeaving?.();
  }

  /**
   * Second step: names the last stream; the connection ends with it. A client may let the acknowledgement of a
   * PING overtake requests that it had in its queue (nghttp2 does), but these come before the answer to a second.
   */
  onPingAck(bytes: Buffer, start: number, end: number): void {
    if (!this.#isLeaving || GOAWAY_PING.compare(bytes, start, end) !== 0) return;
    if (++this.#goAwayPings === 1) this.#writer.ping(GOAWAY_PING, 0, false);
    else this.#session.nameLastStream();
  }

  onEmptied(): void {
    this.#end('cancelled');
  }

  /** No more patience: streams that are left are reset, what is written still goes out. */
  close(): void {
    if (this.#isEnding) return;
    if (this.#isLeaving) this.#session.nameLastStream();
    for (const stream of this.streams) stream.reset(ERROR_CODE.CANCEL);
    this.#end('cancelled');
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Called once a second. While we do not read, silence is not held against the client: it may have spoken. */
  sweep(nowMs: number, elapsedMs: number): void {
    if (this.#isEnding) return;
    const stoodStill = elapsedMs > limits.LATE_SWEEP_MS;
    const isHeldUp = stoodStill || this.#isPaused || this.#hasYielded;
    if (isHeldUp) this.#heldUpAtMs = nowMs;
    const silentSince = (atMs: number): number => nowMs - Math.max(atMs, this.#heldUpAtMs);
    if (!this.#session.hasSettings) {
      if (silentSince(this.openedAtMs) > limits.PREFACE_TIMEOUT_MS) this.#socket.destroy();
      return;
    }
    const { roundTripMs, headers } = this.#session;
    if (roundTripMs === undefined && silentSince(this.openedAtMs) > limits.SETTINGS_TIMEOUT_MS) {
      this.#fail(new ConnectionFault(ERROR_CODE.SETTINGS_TIMEOUT, 'our SETTINGS were not acknowledged'));
    } else if (
      headers.openStreamId !== 0 &&
      silentSince(headers.openedAtMs) > limits.HEADER_BLOCK_TIMEOUT_MS
    ) {
      this.#fail(new ConnectionFault(ERROR_CODE.ENHANCE_YOUR_CALM, 'a header block that does not end'));
    } else if (
      !stoodStill &&
      this.#writer.unsentBytes > 0 &&
      nowMs - this.#takenAtMs > limits.SLOW_READER_TIMEOUT_MS
    ) {
      this.#socket.destroy();
    } else {
      if (this.#isLeaving && nowMs - this.#leavingAtMs > limits.GOAWAY_GRACE_MS)
        this.#session.nameLastStream();
      this.#session.sweep(elapsedMs, isHeldUp);
      this.#keepAlive(nowMs, isHeldUp);
    }
  }

  #keepAlive(nowMs: number, isHeldUp: boolean): void {
    if (this.#isEnding || isHeldUp || nowMs - this.heardAtMs < limits.KEEPALIVE_TIME_MS) {
      this.#pingedAtMs = 0;
    } else if (this.#pingedAtMs === 0) {
      this.#pingedAtMs = nowMs;
      this.#writer.ping(KEEPALIVE_PING, 0, false);
    } else if (nowMs - this.#pingedAtMs > limits.KEEPALIVE_TIMEOUT_MS) {
      this.#socket.destroy();
    }
  }

  #fail(fault: ConnectionFault): void {
    if (this.#isEnding) return;
    this.#writer.goaway(this.#session.lastStreamId, fault.code, fault.message);
    this.#end('protocol');
  }

  /** Sends what is written, then ends the connection. */
  #end(reason: CloseReason): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#session.abandon(reason);
    this.#writer.flush();
    // What still comes is read and thrown away: unread bytes would turn our end into a reset, and the GOAWAY be lost.
    this.#socket.resume();
    this.#socket.end();
    this.#host.clock.setTimer(limits.GOODBYE_MS, () => this.#socket.destroy());
  }

  #onSocketClosed(): void {
    this.#isEnding = true;
    this.#host.dear.leave(this);
    if (this.#hasYielded) this.#host.turns.leave(this);
    this.#takeHeldBack();
    this.#session.abandon('cancelled');
  }
}
