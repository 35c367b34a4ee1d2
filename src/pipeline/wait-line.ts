/**
 * WaitLine: where requests stand that found no queue room, in the order they came.
 *
 * Full policy: `wait` lets a request stand until its call's deadline or `waitMaxMs`, whichever is
 * first; `refuse` turns it away at once. What may stand here is bounded too (`capacityBytes` of raw
 * requests); a request beyond that is turned away at once under either policy.
 *
 * Invariants:
 * 1. First come, first served: a newcomer never overtakes, even if it would fit where the head does not.
 * 2. Every request that enters leaves exactly once: taken, given up, or withdrawn by its caller.
 */
import type { Clock, Timer } from '../base/clock.ts';

export type FullPolicy = 'wait' | 'refuse';

export interface WaitLineOptions {
  readonly whenFull: FullPolicy;
  readonly waitMaxMs: number;
  readonly capacityBytes: number;
}

export interface Waiter {
  readonly sizeBytes: number;
  /** Wall clock; undefined when the call has none. */
  readonly deadlineMs: number | undefined;
  /** Tries to take the room; false leaves the waiter at the head. */
  tryTake(): boolean;
  onGiveUp(waitedMs: number): void;
}

interface Place {
  readonly waiter: Waiter;
  readonly sinceMs: number;
  timer: Timer | undefined;
  left: boolean;
}

export class WaitLine {
  readonly #options: WaitLineOptions;
  readonly #clock: Clock;
  readonly #places: Place[] = [];
  #waitingBytes = 0;
  #admitting = false;

  constructor(options: WaitLineOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#places.length === 0;
  }
  get waiting(): number {
    return this.#places.length;
  }
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** False when the waiter may not stand here: the caller refuses it at once. Else a function that withdraws it. */
  enter(waiter: Waiter): false | (() => void) {
    if (this.#options.whenFull === 'refuse') return false;
    if (this.#waitingBytes + waiter.sizeBytes > this.#options.capacityBytes) return false;
    const untilDeadlineMs =
      waiter.deadlineMs === undefined ? Number.POSITIVE_INFINITY : waiter.deadlineMs - this.#clock.nowMs();
    const waitMs = Math.min(this.#options.waitMaxMs, untilDeadlineMs);
    if (waitMs <= 0) return false;
    const place: Place = { waiter, sinceMs: this.#clock.monotonicMs(), timer: undefined, left: false };
    place.timer = this.#clock.setTimer(waitMs, () => this.#giveUp(place));
    this.#places.push(place);
    this.#waitingBytes += waiter.sizeBytes;
    return () => this.#leave(place);
  }

  /** There is more room: lets in from the head as many as fit. */
  admit(): void {
    // A taker may cause the next flush, whose result calls back here; the outer loop goes on anyway.
    if (this.#admitting) return;
    this.#admitting = true;
    try {
      for (let head = this.#places[0]; head?.waiter.tryTake() === true; head = this.#places[0]) {
        this.#leave(head);
      }
    } finally {
      this.#admitting = false;
    }
  }

  /** Everybody who stands here is turned away now; nobody is let in on the way. */
  giveUpAll(): void {
    this.#admitting = true;
    try {
      for (const place of [...this.#places]) this.#giveUp(place);
    } finally {
      this.#admitting = false;
    }
  }

  #giveUp(place: Place): void {
    if (place.left) return;
    this.#leave(place);
    place.waiter.onGiveUp(this.#clock.monotonicMs() - place.sinceMs);
  }

  #leave(place: Place): void {
    if (place.left) return;
    place.left = true;
    place.timer?.cancel();
    this.#places.splice(this.#places.indexOf(place), 1);
    this.#waitingBytes -= place.waiter.sizeBytes;
    // Whoever left may have been the one too big for the room there is.
    if (!this.#admitting) this.admit();
  }
}
