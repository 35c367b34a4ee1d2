/** A clock that moves only when told to, firing the timers it passes in order. */
import type { Clock, Timer } from '../../../src/base/clock.ts';

export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly onFire: () => void }>();

  nowMs(): number {
    return 1_795_168_800_000 + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  threadCpuMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, onFire: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, onFire };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = due.atMs;
      due.onFire();
    }
    this.#nowMs = endMs;
  }
}
