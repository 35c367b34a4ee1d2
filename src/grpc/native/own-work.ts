/**
 * How long the thread itself worked on something, where others want its core as well. Node has no clock for that which is fine enough:
 * `threadCpuUsage` counts in ticks of the kernel's timer (4 ms as a rule) while a thread runs, so of ten pieces of work of 0.4 ms one
 * is said to have taken 4 ms. Taken at its word it made every tenth read of an honest client one of an attacker
 * (docs/decisions/0057).
 *
 *   nobody was made to leave a core ──▶ the clock on the wall is right, to the microsecond
 *   somebody was                     ──▶ what the kernel counted, a tick more or less
 */
import type { Clock } from '../../base/clock.ts';

/** Of most kernels (CONFIG_HZ=250); others tick more often, very few less. */
const TICK_MS = 4;

export class OwnWork {
  /** The best guess; over many pieces of work right on average. */
  tookMs = 0;
  /** Surely no more than it took; undefined when nothing can be said. */
  surelyMs: number | undefined;
  #sinceMs = 0;
  #cpuSinceMs = 0;
  #preemptions = 0;

  begin(nowMs: number, clock: Clock): void {
    this.#cpuSinceMs = clock.threadCpuMs();
    this.#preemptions = clock.preemptions();
    this.#sinceMs = nowMs;
  }

  end(nowMs: number, clock: Clock): void {
    const wallMs = nowMs - this.#sinceMs;
    if (clock.preemptions() === this.#preemptions) {
      this.tookMs = this.surelyMs = wallMs;
      return;
    }
    this.tookMs = Math.min(wallMs, clock.threadCpuMs() - this.#cpuSinceMs);
    const leastMs = this.tookMs - TICK_MS;
    this.surelyMs = leastMs > 0 ? leastMs : undefined;
  }
}
