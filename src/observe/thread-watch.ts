/**
 * The latest report of every thread, and which threads have gone silent.
 *
 * Invariant: a thread is listed from `expect` on until the process ends, dead or alive, so that one
 * that never came up is missed too.
 */
import type { Clock } from '../base/clock.ts';
import type { ThreadState } from './daemon-state.ts';
import { EVENT_LOOP_WINDOW_MS, type EventLoopReport } from './event-loop-delay.ts';

/** The maximum shown covers so many windows: a scrape every minute misses no peak. */
const MAX_WINDOWS = 60_000 / EVENT_LOOP_WINDOW_MS;

interface Watched {
  isAlive: boolean;
  heardAtMs: number;
  report: EventLoopReport | undefined;
  readonly maximaMs: number[];
}

export class ThreadWatch {
  readonly #clock: Clock;
  readonly #threads = new Map<string, Watched>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  expect(name: string): void {
    this.#threads.set(name, {
      isAlive: true,
      heardAtMs: this.#clock.monotonicMs(),
      report: undefined,
      maximaMs: [],
    });
  }

  report(name: string, report: EventLoopReport): void {
    const thread = this.#threads.get(name);
    if (thread === undefined) return;
    thread.heardAtMs = this.#clock.monotonicMs();
    thread.report = report;
    thread.maximaMs.push(report.maxMs);
    if (thread.maximaMs.length > MAX_WINDOWS) thread.maximaMs.shift();
  }

  ended(name: string): void {
    const thread = this.#threads.get(name);
    if (thread !== undefined) thread.isAlive = false;
  }

  /** Names of the live threads that have not reported for `limitMs`. */
  silent(limitMs: number): readonly string[] {
    const nowMs = this.#clock.monotonicMs();
    const names: string[] = [];
    for (const [name, thread] of this.#threads) {
      if (thread.isAlive && nowMs - thread.heardAtMs > limitMs) names.push(name);
    }
    return names;
  }

  states(): readonly ThreadState[] {
    const nowMs = this.#clock.monotonicMs();
    return [...this.#threads].map(([name, { isAlive, heardAtMs, report, maximaMs }]) => ({
      name,
      isAlive,
      silentMs: nowMs - heardAtMs,
      eventLoop: report === undefined ? undefined : { ...report, maxMs: Math.max(...maximaMs) },
    }));
  }
}
