/**
 * When each request is meant to start. In an open loop the schedule is fixed beforehand and owes
 * nothing to the answers: a stalled daemon finds the requests of the stall waiting, and their latency
 * counts from here, not from when they could at last be sent (no coordinated omission).
 */
export interface Schedule {
  /** Monotonic milliseconds at which request `index` (from 0) is meant to start. */
  intendedMs(index: number): number;
  /** How many requests are meant to start within `durationMs`; Infinity when only the clock can tell. */
  requestsWithin(durationMs: number): number;
}

/**
 * Requests are released in groups, one per slot (group-release.ts), and the plan says so: a request is
 * meant to start when its slot begins. Were it planned for a time between two looks at the clock, every
 * latency would include half a slot of our own making.
 */
export const SLOT_MS = 5;
/** Keeps 10 requests/s for 1s from becoming 11, and slot 3 from becoming 2, by a rounding error. */
const ROUNDING = 1e-9;

/** An even rate, in slots. Computed from the index, so that rounding never adds up. */
export class OpenLoopSchedule implements Schedule {
  readonly #startMs: number;
  readonly #requestsPerSecond: number;

  constructor(startMs: number, requestsPerSecond: number) {
    this.#startMs = startMs;
    this.#requestsPerSecond = requestsPerSecond;
  }

  intendedMs(index: number): number {
    const evenlyMs = (index * 1000) / this.#requestsPerSecond;
    return this.#startMs + Math.floor(evenlyMs / SLOT_MS + ROUNDING) * SLOT_MS;
  }

  requestsWithin(durationMs: number): number {
    return Math.max(1, Math.ceil((durationMs * this.#requestsPerSecond) / 1000 - ROUNDING));
  }
}

/** No schedule: a request is meant to start as soon as there is room for it (closed loop, highest speed). */
export class ClosedLoopSchedule implements Schedule {
  readonly #startMs: number;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  intendedMs(_index: number): number {
    return this.#startMs;
  }

  requestsWithin(_durationMs: number): number {
    return Number.POSITIVE_INFINITY;
  }
}
