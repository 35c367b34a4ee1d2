/**
 * The deadlines of calls. Clients set one on every call, and nearly every call is over long before it, so
 * setting and taking back must cost next to nothing: a hashed wheel, and one timer for all.
 *
 *   slot 0 │ slot 1 │ … │ slot 511     each holds what falls due in a tick of that number, modulo 512
 *      ▲ the timer walks on by the ticks that have passed; what is due later stays for the next round
 *
 * Invariants:
 * 1. An entry stands at `slots[dueTick % SLOTS][position]`, or nowhere (position -1).
 * 2. While `#count` is above 0, exactly one timer is armed; never more than one.
 * 3. `onDeadline` is never called before its time, and at most a tick and the delay of the loop after it.
 */
import type { Clock } from '../../base/clock.ts';

/** Clients notice nothing of it: their own timer ends the call at the deadline. */
const TICK_MS = 10;
/** Five seconds a round, so that the usual timeouts are looked at once or twice. A power of two. */
const SLOTS = 512;

export interface DeadlineEntry {
  dueTick: number;
  /** -1 while in no slot. */
  position: number;
  onDeadline(): void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #slots: DeadlineEntry[][] = Array.from({ length: SLOTS }, () => []);
  #count = 0;
  #lastTick = 0;
  #isArmed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#count;
  }

  add(entry: DeadlineEntry, delayMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#count++;
    if (!this.#isArmed) {
      this.#lastTick = Math.floor(nowMs / TICK_MS);
      this.#arm();
    }
    // Never the tick that was walked already.
    entry.dueTick = Math.max(Math.ceil((nowMs + delayMs) / TICK_MS), this.#lastTick + 1);
    entry.position = this.#slots[entry.dueTick % SLOTS]!.push(entry) - 1;
  }

  remove(entry: DeadlineEntry): void {
    if (entry.position < 0) return;
    const slot = this.#slots[entry.dueTick % SLOTS]!;
    const last = slot.pop()!;
    if (last !== entry) {
      slot[entry.position] = last;
      last.position = entry.position;
    }
    entry.position = -1;
    this.#count--;
  }

  #arm(): void {
    this.#isArmed = true;
    this.#clock.setTimer(TICK_MS, () => this.#walk());
  }

  #walk(): void {
    this.#isArmed = false;
    const nowTick = Math.floor(this.#clock.monotonicMs() / TICK_MS);
    const from = Math.max(this.#lastTick + 1, nowTick - SLOTS + 1);
    this.#lastTick = nowTick;
    const due: DeadlineEntry[] = [];
    for (let tick = from; tick <= nowTick; tick++) {
      for (const entry of this.#slots[tick % SLOTS]!) if (entry.dueTick <= nowTick) due.push(entry);
    }
    for (const entry of due) {
      // One that fires may have taken others back.
      if (entry.position < 0) continue;
      this.remove(entry);
      entry.onDeadline();
    }
    // One that fired may have set another, and armed.
    if (this.#count > 0 && !this.#isArmed) this.#arm();
  }
}
