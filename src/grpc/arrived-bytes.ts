/**
 * Bytes of a stream that have arrived and are not taken: the head of a message that is not whole, or all that came while
 * the stream was held.
 *
 * Invariant: memory is reserved before it is allocated, no more than twice what has arrived, and given back
 * when the stream rests, but for what its next message that is cut will need.
 */
import { PREFIX_BYTES, STREAM_WINDOW_BYTES } from './stream-link.ts';

const NOTHING = Buffer.alloc(0);
const SMALLEST_BYTES = 1024;
/** A frame's worth. */
const KEPT_BYTES = 16 * 1024;

export interface Reservation {
  /** False takes nothing. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export class ArrivedBytes {
  readonly #reservation: Reservation;
  readonly #largestBytes: number;
  bytes: Buffer = NOTHING;
  /** They are bytes[from, to). */
  from = 0;
  to = 0;

  constructor(reservation: Reservation, maxRequestBytes: number) {
    this.#reservation = reservation;
    this.#largestBytes = PREFIX_BYTES + maxRequestBytes + STREAM_WINDOW_BYTES;
  }

  get isEmpty(): boolean {
    return this.to === this.from;
  }

  /** With its prefix; only while that is there. */
  get firstMessageBytes(): number {
    return PREFIX_BYTES + this.bytes.readUInt32BE(this.from + 1);
  }

  /** Until the prefix is whole, and then until the message is. */
  get missingBytes(): number {
    const count = this.to - this.from;
    return (count < PREFIX_BYTES ? PREFIX_BYTES : this.firstMessageBytes) - count;
  }

  /** False when there is no room to be had. */
  add(bytes: Buffer, start: number, end: number): boolean {
    const count = this.to - this.from;
    const neededBytes = count + end - start;
    if (this.from > 0 && this.to + end - start > this.bytes.length) {
      this.bytes.copy(this.bytes, 0, this.from, this.to);
      this.from = 0;
      this.to = count;
    }
    if (neededBytes > this.bytes.length && !this.#grow(neededBytes)) return false;
    bytes.copy(this.bytes, this.to, start, end);
    this.to += end - start;
    return true;
  }

  #grow(neededBytes: number): boolean {
    const doubled = Math.min(Math.max(2 * neededBytes, SMALLEST_BYTES), this.#largestBytes);
    const roomBytes = Math.max(neededBytes, doubled);
    if (!this.#reservation.take(roomBytes - this.bytes.length)) return false;
    const grown = Buffer.allocUnsafeSlow(roomBytes);
    this.bytes.copy(grown, 0, 0, this.to);
    this.bytes = grown;
    return true;
  }

  /** They are taken. A stream under load is held again and again, so it keeps what memory one window needs. */
  drop(): void {
    this.from = 0;
    this.to = 0;
    if (this.bytes.length > STREAM_WINDOW_BYTES) this.#release();
  }

  /** The stream rests. */
  rest(): void {
    if (this.isEmpty && this.bytes.length > KEPT_BYTES) this.#release();
  }

  #release(): void {
    this.#reservation.give(this.bytes.length);
    this.bytes = NOTHING;
  }
}
