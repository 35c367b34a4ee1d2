/**
 * Token bucket over bytes: `ratePerSecond` tokens flow in, at most `burst` are kept, a taker needs its
 * whole amount at once. Refilled when asked, so it needs no timer.
 *
 * All threads draw on one bucket: its whole state is one number, the moment at which it was (or will have
 * been) empty. A take moves that moment on by the time its amount needs to flow in, and is admitted if it
 * does not pass the present; one compare-and-swap settles who was first.
 *
 * Invariants:
 * 1. Over any span of t seconds at most burst + ratePerSecond * t are taken, by all threads together.
 * 2. Who waits the milliseconds that `take` returned, and is then first, is admitted.
 */
import { invariant } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';

/** Forgives what floating point loses between the delay told and the refill that follows. */
const ROUNDING_MS = 1e-6;
const ROUNDING = 2 ** -50;

/** 64 bits of one number, seen as what can be swapped and as what can be calculated with. */
const swapped = new BigInt64Array(1);
const number = new Float64Array(swapped.buffer);

/** The state of a full bucket, for all threads that are to share it. */
export function newBucketState(): BigInt64Array<SharedArrayBuffer> {
  const state = new BigInt64Array(new SharedArrayBuffer(8));
  number[0] = Number.NEGATIVE_INFINITY;
  state[0] = swapped[0]!;
  return state;
}

export class TokenBucket {
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly #clock: Clock;
  readonly #emptyAtMs: BigInt64Array;
  readonly #burstMs: number;
  readonly #roundingMs: number;

  constructor(ratePerSecond: number, burst: number, clock: Clock, state: BigInt64Array = newBucketState()) {
    invariant(ratePerSecond > 0 && burst > 0, 'a token bucket needs a rate and a burst above 0');
    this.ratePerSecond = ratePerSecond;
    this.burst = burst;
    this.#clock = clock;
    this.#emptyAtMs = state;
    this.#burstMs = (burst * 1000) / ratePerSecond;
    this.#roundingMs = Math.max(ROUNDING_MS, this.#burstMs * ROUNDING);
  }

  /**
   * Takes `amount` and returns 0, or takes nothing and returns the whole milliseconds until the refill
   * will have brought enough: Infinity when it never can.
   */
  take(amount: number): number {
    if (amount > this.burst) return Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    const costMs = (amount * 1000) / this.ratePerSecond;
    for (;;) {
      const seen = Atomics.load(this.#emptyAtMs, 0);
      swapped[0] = seen;
      const emptyAtMs = Math.max(number[0]!, nowMs - this.#burstMs) + costMs;
      const missingMs = emptyAtMs - nowMs;
      if (missingMs > this.#roundingMs && amount > 0) return Math.max(1, Math.ceil(missingMs));
      number[0] = emptyAtMs;
      if (Atomics.compareExchange(this.#emptyAtMs, 0, seen, swapped[0]) === seen) return 0;
    }
  }
}
