/**
 * GroupHold: keeps a group back until the callers that were just answered are there again with their next requests.
 *
 * Callers that wait for each answer fall into two halves otherwise: one is on its way to the disk while the other gathers, so a
 * sync covers half of them at most. Where a sync takes long against the way from an answer to the next request, one
 * for all of them is nearly twice as much (docs/decisions/0141).
 *
 * Whether they come back cannot be known, only tried. So a hold is short against the round trip that it may spare, and after
 * one that was in vain the next is tried after twice as many groups.
 *
 *            begin                        enough came back | the group left for another reason
 *   open ───────────────▶ holding ─────────────────────────────────────────────────────────────▶ open
 *                            └──── timer: the group leaves; if anybody waited, it was in vain ───▶ open
 */
import type { Clock, Timer } from '../base/clock.ts';

/** Shorter ones are no longer than the way back is. */
const MIN_ROUND_TRIP_MS = 2;
/**
 * Of the round trip just seen. One for both halves gains where the way back takes less than half of it, and with a quarter
 * it gains a third; beyond, the daemon would stand still during a sync in place of reading the next requests.
 */
const HELD_PART = 0.25;
/** A timer of n milliseconds fires after n - 1 to n. */
const TIMER_SLACK_MS = 1;
/** Longer ways back are seldom, and a disk that stood still for a second says nothing about the callers. */
const MAX_HOLD_MS = 20;
/** After holds in vain: of so many groups one is still tried. */
const MAX_SKIPPED_GROUPS = 64;

export class GroupHold {
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  #timer: Timer | undefined;
  #expectedWaiters = 0;
  #groupsToSkip = 0;
  #skippedLast = 0;

  /** `onExpired`: the group leaves as it is. */
  constructor(clock: Clock, onExpired: () => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  get isHolding(): boolean {
    return this.#timer !== undefined;
  }

  /** A group is answered that took so long from leaving to its result; with those who were in it so many will wait. */
  begin(expectedWaiters: number, roundTripMs: number): void {
    if (roundTripMs < MIN_ROUND_TRIP_MS) return;
    if (this.#groupsToSkip > 0) {
      this.#groupsToSkip--;
      return;
    }
    this.#timer?.cancel();
    this.#expectedWaiters = expectedWaiters;
    const holdMs = Math.min(MAX_HOLD_MS, Math.ceil(roundTripMs * HELD_PART + TIMER_SLACK_MS));
    this.#timer = this.#clock.setTimer(holdMs, () => {
      this.#timer = undefined;
      this.#onExpired();
    });
  }

  /** So many wait now: whether the group is to be kept back for more. */
  holds(waiters: number): boolean {
    if (this.#timer === undefined) return false;
    if (waiters < this.#expectedWaiters) return true;
    this.cancel();
    this.#skippedLast = 0;
    return false;
  }

  /** It ran out, and somebody waited for nothing. */
  wasInVain(): void {
    this.#skippedLast = Math.min(MAX_SKIPPED_GROUPS, Math.max(1, this.#skippedLast * 2));
    this.#groupsToSkip = this.#skippedLast;
  }

  /** The group left for another reason: nothing is learned from it. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
