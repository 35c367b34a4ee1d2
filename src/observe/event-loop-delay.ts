/**
 * How late an event loop is, measured inside its own thread. Each thread reports once per window; the
 * report is at the same time its sign of life (thread-watch.ts).
 */
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Clock, Timer } from '../base/clock.ts';

export interface EventLoopReport {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Share of the window in which the loop had work, 0 to 1. */
  readonly utilization: number;
}

/** Sampling costs one timer per resolution: at 10ms some 0.1% of a core. */
const RESOLUTION_MS = 10;
export const EVENT_LOOP_WINDOW_MS = 5000;

/**
 * Invariant: no delay goes unreported, however it falls on the window's edge. A histogram that is reset
 * forgets the interval under way, so two of them are read and reset in turn: each report covers the last
 * two windows, and what one forgets the other has.
 */
export class EventLoopMonitor {
  readonly #histograms = [0, 1].map(() => monitorEventLoopDelay({ resolution: RESOLUTION_MS }));
  #turn = 0;
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  #timer: Timer | undefined;

  /** Calls `onReport` at the end of every window until `stop`. */
  start(clock: Clock, onReport: (report: EventLoopReport) => void, windowMs = EVENT_LOOP_WINDOW_MS): void {
    for (const histogram of this.#histograms) histogram.enable();
    const arm = (): void => {
      this.#timer = clock.setTimer(windowMs, () => {
        arm();
        // After a long block our timer may come before the sampling timers; an immediate comes after both.
        setImmediate(() => {
          if (this.#timer !== undefined) onReport(this.#take());
        });
      });
    };
    arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const histogram of this.#histograms) histogram.disable();
  }

  #take(): EventLoopReport {
    const histogram = this.#histograms[this.#turn]!;
    this.#turn = 1 - this.#turn;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization);
    this.#utilization = now;
    const report =
      histogram.count === 0
        ? { p50Ms: 0, p99Ms: 0, maxMs: 0, utilization }
        : {
            p50Ms: delayMs(histogram.percentile(50)),
            p99Ms: delayMs(histogram.percentile(99)),
            maxMs: delayMs(histogram.max),
            utilization,
          };
    histogram.reset();
    return report;
  }
}

/** The histogram holds the time between two samples; an idle loop shows the resolution itself. */
function delayMs(intervalNs: number): number {
  return Math.max(0, intervalNs / 1e6 - RESOLUTION_MS);
}
