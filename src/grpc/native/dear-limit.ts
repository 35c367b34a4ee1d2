/**
 * What makes a connection dear: several times the work that ordinary requests make of as many bytes, on this machine as it is
 * now. A fixed figure was right for the machine that it was found on. On one half as fast, or one whose host slowed it down for a
 * while, honest clients went beyond it, and had a fifth of the thread beside an attacker who did not (docs/decisions/0057).
 *
 * So the work of an ordinary request is done now and then, for nothing, and timed; only while somebody goes beyond what is
 * fine on any machine, and never more often than every MEASURE_INTERVAL_MS. Nobody outside has a say in it: what clients
 * send costs what they like.
 */
import type { Clock } from '../../base/clock.ts';
import type { OrdinaryWork } from '../server.ts';
import { DEAR_FACTOR, DEAR_LEAST_MS, DEAR_MOST_MS } from './limits.ts';
import { OwnWork } from './own-work.ts';
import { READ_BUFFER_BYTES } from './shared-reads.ts';

/** The work is some 50 us: less than a thousandth of the thread. */
const MEASURE_INTERVAL_MS = 100;
/** The middle of so many: code that is not compiled yet, or a collection of garbage, makes one much longer. */
const MEASURED = 5;

export class DearLimit {
  readonly #clock: Clock;
  readonly #ordinary: OrdinaryWork | undefined;
  readonly #own = new OwnWork();
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  /** What ordinary work in a read of 64 KiB takes of the thread, newest last. */
  readonly #ordinaryMs: number[] = [];

  /** Without a measure of it ordinary work is what it is on a fast machine. */
  constructor(clock: Clock, ordinary: OrdinaryWork | undefined) {
    this.#clock = clock;
    this.#ordinary = ordinary;
  }

  isBeyond(workedMs: number, bytes: number): boolean {
    // Bytes may be less than none, where what a request grew by speaks for it no more.
    const isBeyond = (limitMs: number): boolean => workedMs * READ_BUFFER_BYTES > limitMs * bytes;
    return isBeyond(DEAR_LEAST_MS) && isBeyond(this.#ms());
  }

  #ms(): number {
    const nowMs = this.#clock.monotonicMs();
    if (this.#ordinary !== undefined && nowMs - this.#measuredAtMs >= MEASURE_INTERVAL_MS) {
      this.#measure(this.#ordinary, nowMs);
    }
    const sorted = this.#ordinaryMs.toSorted((a, b) => a - b);
    const ordinaryMs = sorted[sorted.length >> 1] ?? 0;
    return Math.min(DEAR_MOST_MS, Math.max(DEAR_LEAST_MS, DEAR_FACTOR * ordinaryMs));
  }

  #measure(ordinary: OrdinaryWork, nowMs: number): void {
    this.#own.begin(this.#clock.monotonicMs(), this.#clock);
    ordinary.run();
    this.#own.end(this.#clock.monotonicMs(), this.#clock);
    // Somebody else had the core meanwhile: it is tried again when the limit is asked for again.
    if (this.#own.surelyMs !== this.#own.tookMs) return;
    this.#measuredAtMs = nowMs;
    this.#ordinaryMs.push((this.#own.tookMs * READ_BUFFER_BYTES) / ordinary.requestBytes);
    if (this.#ordinaryMs.length > MEASURED) this.#ordinaryMs.shift();
  }
}
