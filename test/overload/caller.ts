/**
 * One client of an overloaded daemon, on a bare socket so that five thousand fit into a test: sends requests of one
 * sensor, whose value is one higher with each, and keeps what became of every one of them.
 *
 * Invariant: a value is sent once. So one that was acknowledged must be on disk, one that was refused must not be,
 * and only of one whose answer never came nothing can be said.
 */
import { connect, type Socket } from 'node:net';
import { HpackDecoder } from '../../src/grpc/native/hpack-decoder.ts';
import { frame as grpcFrame } from '../support/grpc-client.ts';
import { ERROR_CODE, FLAG, FRAME, GREETING, rawFrame, SEND_BLOCK } from '../support/raw-http2.ts';
import { int64Value, item, measurement } from '../support/reading-bytes.ts';

/** What became of a value, as kept in `Caller.fates`. */
export const FATE = { UNKNOWN: 0, ACKNOWLEDGED: 1, REFUSED: 2 } as const;

/**
 * eager: sends the next request as soon as the last was answered, or at its interval, and heeds no hint.
 * good: as often as it is told to, and waits as long as a refusal says; what was refused it sends again, as a new value.
 * deaf: eager, and never reads an answer.
 * trickling: a byte of a request per second.
 */
export type Manner = 'eager' | 'good' | 'deaf' | 'trickling';

export interface CallerWish {
  readonly name: string;
  readonly manner: Manner;
  readonly port: number;
  /** Where it comes from: each good client has an address of its own. */
  readonly localAddress: string;
  readonly readingsPerRequest: number;
  /** Between the starts of two requests; 0: as soon as the last was answered. */
  readonly intervalMs: number;
}

export interface Tally {
  acknowledged: number;
  /** By gRPC status. */
  readonly refused: Map<number, number>;
  /** Refusals that did not say what to do: no pushback, or no details. */
  unhinted: number;
  unknown: number;
}

const TRICKLE_MS = 1000;
const RECONNECT_MS = 200;
const STATUS_OK = 0;
/** From UNAVAILABLE and RESOURCE_EXHAUSTED, the two that a client may repeat. */
const RETRYABLE: ReadonlySet<number> = new Set([8, 14]);

export class Caller {
  /** Of value n, at index n. */
  fates = new Uint8Array(64);
  /** Requests that a good client wanted to be delivered, and those that were. */
  wanted = 0;
  delivered = 0;
  readonly #wish: CallerWish;
  readonly #tally: Tally;
  #socket: Socket | undefined;
  #decoder = new HpackDecoder(4096);
  #rest: Buffer = Buffer.alloc(0);
  #streamId = 1;
  #value = 0;
  #open = new Map<number, number>();
  #answer = { status: -1, pushbackMs: Number.NaN, hasDetails: false };
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(wish: CallerWish, tally: Tally) {
    this.#wish = wish;
    this.#tally = tally;
  }

  get name(): string {
    return this.#wish.name;
  }

  begin(): void {
    if (this.#isOver) return;
    const { port, localAddress, manner } = this.#wish;
    this.#decoder = new HpackDecoder(4096);
    this.#rest = Buffer.alloc(0);
    this.#streamId = 1;
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('connect', () => {
      socket.write(GREETING);
      if (manner === 'trickling') this.#trickle(this.#request(), 0);
      else this.#send();
    });
    if (manner === 'deaf') socket.pause();
    else socket.on('data', (chunk) => this.#onChunk(chunk));
    socket.on('close', () => {
      clearTimeout(this.#timer);
      for (const value of this.#open.values()) this.#settle(value, FATE.UNKNOWN);
      this.#open.clear();
      if (!this.#isOver) this.#timer = setTimeout(() => this.begin(), RECONNECT_MS);
    });
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  // --- requests ---------------------------------------------------------------------------------------

  #request(): Buffer {
    this.#value++;
    const { name, readingsPerRequest } = this.#wish;
    const reading = Buffer.from(item(name, measurement(int64Value(this.#value))));
    const message = Buffer.concat(Array.from({ length: readingsPerRequest }, () => reading));
    const streamId = this.#streamId;
    this.#streamId += 2;
    this.#open.set(streamId, this.#value);
    return Buffer.concat([
      rawFrame(FRAME.HEADERS, FLAG.END_HEADERS, streamId, SEND_BLOCK),
      rawFrame(FRAME.DATA, FLAG.END_STREAM, streamId, grpcFrame(message)),
    ]);
  }

  #send(): void {
    const { manner, intervalMs } = this.#wish;
    if (this.#isOver || this.#socket?.writable !== true) return;
    this.wanted++;
    const isTaken = this.#socket.write(this.#request());
    if (manner === 'deaf') {
      // Nobody tells it to go on: as fast as the daemon reads.
      if (isTaken) this.#timer = setTimeout(() => this.#send(), 10);
      else this.#socket.once('drain', () => this.#send());
    } else if (manner === 'eager' && intervalMs > 0) {
      this.#timer = setTimeout(() => this.#send(), intervalMs);
    }
  }

  #trickle(bytes: Buffer, at: number): void {
    if (this.#isOver || this.#socket?.writable !== true) return;
    this.#socket.write(bytes.subarray(at, at + 1));
    const isWhole = at + 1 === bytes.length;
    this.#timer = setTimeout(
      () => (isWhole ? this.#trickle(this.#request(), 0) : this.#trickle(bytes, at + 1)),
      TRICKLE_MS,
    );
  }

  // --- answers ----------------------------------------------------------------------------------------

  #onChunk(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 9) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      this.#onFrame(bytes, at + 9, end, bytes[at + 3]!, bytes[at + 4]!, bytes.readUInt32BE(at + 5));
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  #onFrame(bytes: Buffer, start: number, end: number, type: number, flags: number, streamId: number): void {
    if (type === FRAME.SETTINGS && (flags & FLAG.ACK) === 0) {
      this.#socket!.write(rawFrame(FRAME.SETTINGS, FLAG.ACK, 0));
    } else if (type === FRAME.PING && (flags & FLAG.ACK) === 0) {
      this.#socket!.write(rawFrame(FRAME.PING, FLAG.ACK, 0, bytes.subarray(start, end)));
    } else if (type === FRAME.GOAWAY) {
      this.#socket!.end();
    } else if (type === FRAME.RST_STREAM) {
      // RFC 9113 8.7: REFUSED_STREAM says that nothing of it was looked at.
      const wasRefused = bytes.readUInt32BE(start) === ERROR_CODE.REFUSED_STREAM;
      this.#answered(streamId, wasRefused ? FATE.REFUSED : FATE.UNKNOWN, 0);
    } else if (type === FRAME.HEADERS) {
      this.#answer = { status: -1, pushbackMs: Number.NaN, hasDetails: false };
      this.#decoder.decode(bytes, start, end, this);
      if ((flags & FLAG.END_STREAM) !== 0) this.#onTrailers(streamId);
    }
  }

  onField({ name, value }: { readonly name: string; readonly value: string }): void {
    if (name === 'grpc-status') this.#answer.status = Number(value);
    else if (name === 'grpc-retry-pushback-ms') this.#answer.pushbackMs = Number(value);
    else if (name === 'grpc-status-details-bin') this.#answer.hasDetails = true;
  }

  #onTrailers(streamId: number): void {
    const { status, pushbackMs, hasDetails } = this.#answer;
    if (status === STATUS_OK) {
      this.#answered(streamId, FATE.ACKNOWLEDGED, 0);
      return;
    }
    this.#tally.refused.set(status, (this.#tally.refused.get(status) ?? 0) + 1);
    const isHinted = RETRYABLE.has(status) ? pushbackMs >= 0 && hasDetails : pushbackMs === -1;
    if (!isHinted) this.#tally.unhinted++;
    this.#answered(streamId, FATE.REFUSED, Math.max(0, pushbackMs || 0));
  }

  #answered(streamId: number, fate: number, waitMs: number): void {
    const value = this.#open.get(streamId);
    if (value === undefined) return;
    this.#open.delete(streamId);
    this.#settle(value, fate);
    const { manner, intervalMs } = this.#wish;
    if (manner === 'eager') {
      if (intervalMs === 0) this.#send();
    } else if (manner === 'good') {
      const isDone = fate === FATE.ACKNOWLEDGED;
      if (isDone) this.delivered++;
      else this.wanted--; // the same reading again
      this.#timer = setTimeout(() => this.#send(), isDone ? intervalMs : waitMs);
    }
  }

  #settle(value: number, fate: number): void {
    if (value >= this.fates.length) {
      const longer = new Uint8Array(2 * value);
      longer.set(this.fates);
      this.fates = longer;
    }
    this.fates[value] = fate;
    if (fate === FATE.ACKNOWLEDGED) this.#tally.acknowledged++;
    else if (fate === FATE.UNKNOWN) this.#tally.unknown++;
  }
}
