/**
 * Token bucket over bytes: `ratePerSecond` tokens flow in, at most `burst` are kept, a taker needs its
 * whole amount at once. Refilled when asked, so it needs no timer.
 *
 * Invariants:
 * 1. 0 <= tokens <= burst.
 * 2. Over any span of t seconds at most burst + ratePerSecond * t are taken.
 * 3. Who waits the milliseconds that `take` returned, and is then first, is admitted.
 */
import { invariant } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';

/** Millionths of a byte: forgives what floating point loses between the delay told and the refill that follows. */
const ROUNDING = 1e-6;

export class TokenBucket {
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly #clock: Clock;
  #tokens: number;
  #refilledAtMs: number;

  constructor(ratePerSecond: number, burst: number, clock: Clock) {
    invariant(ratePerSecond > 0 && burst > 0, 'a token bucket needs a rate and a burst above 0');
    this.ratePerSecond = ratePerSecond;
    this.burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#refilledAtMs = clock.monotonicMs();
  }

  /**
   * Takes `amount` and returns 0, or takes nothing and returns the whole milliseconds until the refill
   * will have brought enough: Infinity when it never can.
   */
  take(amount: number): number {
    if (amount > this.burst) return Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    const refill = ((nowMs - this.#refilledAtMs) * this.ratePerSecond) / 1000;
    this.#tokens = Math.min(this.burst, this.#tokens + refill);
    this.#refilledAtMs = nowMs;
    const missing = amount - this.#tokens;
    if (missing <= ROUNDING) {
      this.#tokens = Math.max(0, -missing);
      return 0;
    }
    return Math.max(1, Math.ceil((missing * 1000) / this.ratePerSecond));
  }
}
