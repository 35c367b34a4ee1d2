/**
 * What makes a connection dear: several times the work that ordinary requests make of as many bytes, on this machine as it is
 * now. A fixed figure was right for the machine that it was found on. On one half as fast, or one whose host slowed it down for a
 * while, honest clients went beyond it, and had a fifth of the thread beside an attacker who did not (docs/decisions/0057).
 *
 * So the work of an ordinary request is done now and then, for nothing, and timed; only while somebody goes beyond what is
 * fine on any machine, and never more often than every MEASURE_INTERVAL_MS. What clients send has no say in it:
 * that costs what they like.
 */
import type { Clock } from '../../base/clock.ts';
import type { OrdinaryWork } from '../server.ts';
import { DEAR_FACTOR, DEAR_LEAST_MS, DEAR_MOST_MS } from './limits.ts';
import { READ_BUFFER_BYTES } from './shared-reads.ts';

/** The work is some 40 to 120 us: a thousandth of the thread. */
const MEASURE_INTERVAL_MS = 100;
/** The middle of so many counts: a collection of garbage makes one much longer. */
const MEASURED = 5;
/** What is older says nothing about the machine as it is now. */
const FORGOTTEN_MS = 2000;
/** So many at once when nothing is known, behind one that only warms up. */
const FIRST_MEASURED = 3;

export class DearLimit {
  readonly #clock: Clock;
  readonly #ordinary: OrdinaryWork | undefined;
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  /** CPU time of ordinary work in a read of 64 KiB, newest last. */
  #ordinaryMs: number[] = [];
  #limitMs = DEAR_LEAST_MS;

  /** Without a measure of it ordinary work is what it is on a fast machine. */
  constructor(clock: Clock, ordinary: OrdinaryWork | undefined) {
    this.#clock = clock;
    this.#ordinary = ordinary;
  }

  /** So much CPU time for so many bytes. */
  isBeyond(workedMs: number, bytes: number): boolean {
    // Bytes may be less than none, where what a request grew by speaks for it no more.
    const readMs = workedMs * READ_BUFFER_BYTES;
    if (readMs <= DEAR_LEAST_MS * bytes) return false;
    this.#renew();
    return readMs > this.#limitMs * bytes;
  }

  #renew(): void {
    const ordinary = this.#ordinary;
    const nowMs = this.#clock.monotonicMs();
    const sinceMs = nowMs - this.#measuredAtMs;
    if (ordinary === undefined || sinceMs < MEASURE_INTERVAL_MS) return;
    this.#measuredAtMs = nowMs;
    if (sinceMs > FORGOTTEN_MS) {
      ordinary.run();
      this.#ordinaryMs = Array.from({ length: FIRST_MEASURED - 1 }, () => this.#measure(ordinary));
    }
    this.#ordinaryMs.push(this.#measure(ordinary));
    if (this.#ordinaryMs.length > MEASURED) this.#ordinaryMs.shift();
    const sorted = this.#ordinaryMs.toSorted((a, b) => a - b);
    const ordinaryMs = sorted[(sorted.length - 1) >> 1]!;
    this.#limitMs = Math.min(DEAR_MOST_MS, Math.max(DEAR_LEAST_MS, DEAR_FACTOR * ordinaryMs));
  }

  #measure(ordinary: OrdinaryWork): number {
    const beganMs = this.#clock.threadCpuMs();
    ordinary.run();
    return ((this.#clock.threadCpuMs() - beganMs) * READ_BUFFER_BYTES) / ordinary.requestBytes;
  }
}
