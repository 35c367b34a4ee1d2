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

/** The states of as many full buckets, for all threads that are to share them. */
export function newBucketStates(count = 1): BigInt64Array<SharedArrayBuffer> {
  const states = new BigInt64Array(new SharedArrayBuffer(8 * count));
  for (let i = 0; i < count; i++) fillBucket(states, i);
  return states;
}

export function fillBucket(states: BigInt64Array, index: number): void {
  number[0] = Number.NEGATIVE_INFINITY;
  Atomics.store(states, index, swapped[0]!);
}

/** The moment at which this bucket was or will have been empty. */
export function bucketEmptyAtMs(states: BigInt64Array, index: number): number {
  swapped[0] = Atomics.load(states, index);
  return number[0]!;
}

/**
 * Takes what flows in within `costMs` if at least `keepMs` is left after it, and returns 0; else takes nothing and
 * returns the milliseconds that are missing.
 */
export function takeFromBucket(
  states: BigInt64Array,
  index: number,
  costMs: number,
  burstMs: number,
  nowMs: number,
  keepMs = 0,
): number {
  const roundingMs = Math.max(ROUNDING_MS, burstMs * ROUNDING);
  for (;;) {
    const seen = Atomics.load(states, index);
    swapped[0] = seen;
    const emptyAtMs = Math.max(number[0]!, nowMs - burstMs) + costMs;
    const missingMs = emptyAtMs + keepMs - nowMs;
    if (missingMs > roundingMs) return missingMs;
    number[0] = emptyAtMs;
    if (Atomics.compareExchange(states, index, seen, swapped[0]!) === seen) return 0;
  }
}

/** Puts back (`costMs` below 0) or takes whatever is there, into debt if need be. */
export function moveBucket(
  states: BigInt64Array,
  index: number,
  costMs: number,
  burstMs: number,
  nowMs: number,
): void {
  for (;;) {
    const seen = Atomics.load(states, index);
    swapped[0] = seen;
    number[0] = Math.max(number[0]!, nowMs - burstMs) + costMs;
    if (Atomics.compareExchange(states, index, seen, swapped[0]!) === seen) return;
  }
}

export class TokenBucket {
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly #clock: Clock;
  readonly #state: BigInt64Array;
  readonly #burstMs: number;

  constructor(ratePerSecond: number, burst: number, clock: Clock, state: BigInt64Array = newBucketStates()) {
    invariant(ratePerSecond > 0 && burst > 0, 'a token bucket needs a rate and a burst above 0');
    this.ratePerSecond = ratePerSecond;
    this.burst = burst;
    this.#clock = clock;
    this.#state = state;
    this.#burstMs = (burst * 1000) / ratePerSecond;
  }

  /**
   * Takes `amount` if at least `keep` is left after it, and returns 0; or takes nothing and returns the whole
   * milliseconds until the refill will have brought enough: Infinity when it never can.
   */
  take(amount: number, keep = 0, nowMs = this.#clock.monotonicMs()): number {
    if (amount > this.burst) return Number.POSITIVE_INFINITY;
    if (amount === 0) return 0;
    const costMs = (amount * 1000) / this.ratePerSecond;
    const keepMs = (keep * 1000) / this.ratePerSecond;
    const missingMs = takeFromBucket(this.#state, 0, costMs, this.#burstMs, nowMs, keepMs);
    return missingMs === 0 ? 0 : Math.max(1, Math.ceil(missingMs));
  }
}
