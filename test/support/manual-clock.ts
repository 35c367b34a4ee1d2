/** A clock that a test moves by hand; timers fire in order of their due time inside `advance`. */
import type { Clock, Timer } from '../../src/base/clock.ts';

export class ManualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  #timers: { dueMs: number; onFire: () => void }[] = [];

  constructor(startMs = Date.UTC(2026, 10, 20, 10)) {
    this.#nowMs = startMs;
  }
  nowMs(): number {
    return this.#nowMs;
  }
  monotonicMs(): number {
    return this.#monotonicMs;
  }
  /** All that passes is work of this thread, but for what a test says others took. */
  threadCpuMs(): number {
    return this.#monotonicMs - this.othersCpuMs;
  }
  othersCpuMs = 0;
  get armedTimers(): number {
    return this.#timers.length;
  }
  setTimer(delayMs: number, onFire: () => void): Timer {
    const timer = { dueMs: this.#monotonicMs + delayMs, onFire };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }
  /** Moves both clocks and fires what falls due, in order, each at its own time. */
  advance(byMs: number): void {
    const untilMs = this.#monotonicMs + byMs;
    for (;;) {
      const next = this.#timers.filter((t) => t.dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#step(Math.max(0, next.dueMs - this.#monotonicMs));
      next.onFire();
    }
    this.#step(untilMs - this.#monotonicMs);
  }
  /** The machine is paused: time passes and no timer fires before the next `advance`. */
  standStill(forMs: number): void {
    this.#step(forMs);
  }
  /** The wall clock is set to another time; the monotonic one goes on. */
  jumpWall(byMs: number): void {
    this.#nowMs += byMs;
  }
  #step(byMs: number): void {
    this.#nowMs += byMs;
    this.#monotonicMs += byMs;
  }
}
