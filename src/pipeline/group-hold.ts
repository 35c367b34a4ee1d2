/**
 * GroupHold: keeps a group back until the callers that were just answered are there again with their next requests.
 *
 * Callers that wait for each answer fall into two halves otherwise: one is on its way to the disk while the other gathers, so a
 * sync covers half of them at most. Where a sync takes long against the way from an answer to the next request, one
 * for all of them is nearly twice as much (docs/decisions/0141).
 *
 * Whether they come back cannot be known, only tried. So a hold is short against the round trip that it may spare, and after
 * one that was in vain the next is tried after twice as many groups. One that expected mostly callers who were there already
 * shows nothing: after a hold in vain the first caller to come back leaves alone, and the next waits for him only.
 *
 *            begin                        enough came back | the group left for another reason
 *   open ───────────────▶ holding ─────────────────────────────────────────────────────────────▶ open
 *                            └──── timer: the group leaves; with a quarter missing it was in vain ─▶ open
 */
import type { Clock, Timer } from '../base/clock.ts';

/** Shorter ones are no longer than the way back is. */
const MIN_ROUND_TRIP_MS = 2;
/**
 * Of the round trip S just seen. With a way back P of each half, two round trips become one and two ways back: 2S against S + 2P,
 * which gains where P is below S / 2. A quarter keeps away from where it is neither, as the daemon stands still meanwhile.
 */
const HELD_PART = 0.25;
/** A timer may fire so much before its time. */
const TIMER_SLACK_MS = 1;
/** Longer ways back are seldom, and a disk that stood still for a second says nothing about the callers. */
const MAX_HOLD_MS = 20;
/** After so many groups one is tried again, however many were in vain. */
const MAX_SKIPPED_GROUPS = 64;
/** Of those expected: with so many the group is worth having waited for. */
const ENOUGH_PART = 0.75;

export class GroupHold {
  readonly #clock: Clock;
  readonly #onExpired: () => number;
  #timer: Timer | undefined;
  #expected = 0;
  #isTelling = false;
  #groupsToSkip = 0;
  #skippedLast = 0;

  /** `onExpired`: the group leaves as it is; answers how many wait in it. */
  constructor(clock: Clock, onExpired: () => number) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  get isHolding(): boolean {
    return this.#timer !== undefined;
  }

  /** So many were just answered, so long after they left, and so many wait already. */
  begin(answered: number, waiting: number, roundTripMs: number): void {
    // Who is alone waits for nobody.
    if (roundTripMs < MIN_ROUND_TRIP_MS || answered + waiting < 2) return;
    if (this.#groupsToSkip > 0) {
      this.#groupsToSkip--;
      return;
    }
    this.#expected = answered + waiting;
    this.#isTelling = answered >= waiting;
    const holdMs = Math.min(MAX_HOLD_MS, Math.ceil(roundTripMs * HELD_PART + TIMER_SLACK_MS));
    this.cancel();
    this.#timer = this.#clock.setTimer(holdMs, () => {
      this.#timer = undefined;
      if (this.#onExpired() < this.#expected * ENOUGH_PART) this.#wasInVain();
    });
  }

  /** So many wait now: ends the hold if that is enough. True: the group is to be kept back for more. */
  keeps(waiting: number): boolean {
    if (this.#timer === undefined) return false;
    if (waiting < this.#expected) return true;
    this.cancel();
    if (this.#isTelling) this.#skippedLast = 0;
    return false;
  }

  #wasInVain(): void {
    this.#skippedLast = Math.min(MAX_SKIPPED_GROUPS, Math.max(1, this.#skippedLast * 2));
    this.#groupsToSkip = this.#skippedLast;
  }

  /** The group left for another reason: nothing is learned from it. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
