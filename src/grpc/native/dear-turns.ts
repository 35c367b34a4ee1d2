/**
 * What all connections of a thread whose bytes make more work than those of requests do, or work for nothing, may take of
 * it together (docs/decisions/0057). They work one after the other, a short share of a turn each time, and as long as
 * others have work they then rest for several times as long as they worked.
 *
 *   resting ──work──▶ in turn ──the turn is over, share not used up──▶ resting
 *                       │  ▲
 *                       │  └── those that wait go on, the first first ◀──────────────┐
 *                       └── the turn is over, share used up ──▶ out ──nobody else───▶┤
 *                                                                └──REST_FACTOR──────┘
 *
 * Invariant: while somebody waits a turn is being counted or rested through, so that nobody waits for ever.
 */
import type { Clock } from '../../base/clock.ts';
import { DEAR_REST_FACTOR, DEAR_TURN_SHARE_MS } from './limits.ts';

/** Goes on where it was held up; may have to wait again before it comes back. */
export interface DearConnection {
  goOn(): void;
}

export class DearTurns {
  /** Chunks of everybody else. */
  othersChunks = 0;
  readonly #clock: Clock;
  readonly #waiting = new Set<DearConnection>();
  #spentMs = 0;
  #isCounting = false;
  #othersBefore = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isUsedUp(): boolean {
    return this.#spentMs > DEAR_TURN_SHARE_MS;
  }
  /** What is left of this turn's share. */
  get leftMs(): number {
    return DEAR_TURN_SHARE_MS - this.#spentMs;
  }

  spend(workedMs: number): void {
    this.#spentMs += workedMs;
    this.#count();
  }

  /** It is called back (`goOn`) when it is its turn. */
  wait(connection: DearConnection): void {
    this.#waiting.add(connection);
    this.#count();
  }

  leave(connection: DearConnection): void {
    this.#waiting.delete(connection);
  }

  #count(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.#othersBefore = this.othersChunks;
    setImmediate(this.#onTurnOver);
  }

  /** Every socket that has something was read. */
  readonly #onTurnOver = (): void => {
    if (this.isUsedUp && this.othersChunks !== this.#othersBefore) {
      this.#clock.setTimer(DEAR_REST_FACTOR * this.#spentMs, this.#next);
    } else {
      this.#next();
    }
  };

  readonly #next = (): void => {
    this.#isCounting = false;
    this.#spentMs = 0;
    while (!this.isUsedUp) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      this.#waiting.delete(first);
      const before = this.#spentMs;
      first.goOn();
      // It had nothing left over and is read in the turn that begins; with one more there would be two.
      if (this.#spentMs === before) break;
    }
    if (this.#waiting.size > 0) this.#count();
  };
}
