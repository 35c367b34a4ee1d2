/**
 * Paces an open loop: bottleneck releases a group of requests per slot of a few milliseconds.
 *
 * bottleneck runs some hundred jobs a second, so a job is a slot and not a request: it releases every
 * request whose intended start has come. The schedule stays the truth about time; bottleneck bounds how
 * often it is looked at, also by a generator that fell behind.
 */
import Bottleneck from 'bottleneck';
import type { Clock } from '../../base/clock.ts';
import { SLOT_MS } from './schedule.ts';

/** Between two jobs. Shorter than a slot, so that one late job does not make all that follow late. */
const MIN_JOB_INTERVAL_MS = SLOT_MS / 2;
/** Timers overflow past 24 days; looking again once an hour costs nothing. */
const LONGEST_SLEEP_MS = 3_600_000;

export interface GroupReleaseTasks {
  /** Releases what is due and returns when the next request is, or undefined when none is known of. */
  releaseDue(): number | undefined;
}

export class GroupRelease {
  readonly #limiter = new Bottleneck({ minTime: MIN_JOB_INTERVAL_MS, maxConcurrent: 1 });
  readonly #clock: Clock;
  readonly #tasks: GroupReleaseTasks;
  #running = true;
  #wake: (() => void) | undefined;

  constructor(clock: Clock, tasks: GroupReleaseTasks) {
    this.#clock = clock;
    this.#tasks = tasks;
  }

  /** Runs until stop(). */
  async run(): Promise<void> {
    while (this.#running) {
      const nextMs = await this.#limiter.schedule(async () =>
        this.#running ? this.#tasks.releaseDue() : undefined,
      );
      if (!this.#running) break;
      const waitMs = nextMs === undefined ? Number.POSITIVE_INFINITY : nextMs - this.#clock.monotonicMs();
      if (waitMs > 0) await this.#sleep(waitMs);
    }
  }

  /** Looks at the schedule again in the next slot. */
  wake(): void {
    this.#wake?.();
  }

  stop(): void {
    this.#running = false;
    this.wake();
  }

  #sleep(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(waitMs)
        ? this.#clock.setTimer(Math.min(waitMs, LONGEST_SLEEP_MS), () => this.#wake?.())
        : undefined;
      this.#wake = () => {
        this.#wake = undefined;
        timer?.cancel();
        resolve();
      };
    });
  }
}
