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
  /** A wake between two jobs must not be slept over. */
  #isWoken = false;

  constructor(clock: Clock, tasks: GroupReleaseTasks) {
    this.#clock = clock;
    this.#tasks = tasks;
  }

  /** Runs until stop(). */
  async run(): Promise<void> {
    let nextMs: number | undefined = this.#clock.monotonicMs();
    while (this.#running) {
      const slotMs: number | undefined = nextMs;
      nextMs = await this.#limiter.schedule(() => this.#slot(slotMs));
    }
  }

  /**
   * One job. It waits for its slot inside the job: bottleneck takes some three milliseconds to start one,
   * and so they pass before the slot begins instead of making every request late. Timers may fire a little
   * early, and then it waits on: coming back for it would cost another start.
   */
  async #slot(startMs: number | undefined): Promise<number | undefined> {
    while (this.#running && !this.#isWoken) {
      const waitMs = startMs === undefined ? LONGEST_SLEEP_MS : startMs - this.#clock.monotonicMs();
      if (waitMs <= 0) break;
      await this.#sleep(Math.ceil(waitMs));
    }
    this.#isWoken = false;
    return this.#running ? this.#tasks.releaseDue() : undefined;
  }

  /** Looks at the schedule again in the next slot. */
  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  stop(): void {
    this.#running = false;
    this.wake();
  }

  #sleep(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(Math.min(waitMs, LONGEST_SLEEP_MS), () => this.#wake?.());
      this.#wake = () => {
        this.#wake = undefined;
        timer.cancel();
        resolve();
      };
    });
  }
}
