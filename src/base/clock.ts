/**
 * Time as a parameter. Stages take a Clock instead of reading `Date` or arming `setTimeout`
 * themselves, so that a test or a simulation can own time.
 */
import { performance } from 'node:perf_hooks';

export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch, UTC. May jump. */
  nowMs(): number;
  /** Monotonic milliseconds with a fraction, on the same scale in every thread; only differences mean something. */
  monotonicMs(): number;
  /** CPU time that this thread has used, in milliseconds; only differences mean something. Two system calls: not for every request. */
  threadCpuMs(): number;
  /** Fires once after `delayMs`. A timer never keeps the process alive by itself. */
  setTimer(delayMs: number, onFire: () => void): Timer;
}

class SystemTimer implements Timer {
  readonly #handle: NodeJS.Timeout;
  constructor(delayMs: number, onFire: () => void) {
    this.#handle = setTimeout(onFire, delayMs);
    // The listening sockets and worker threads decide how long the process lives, not a timer.
    this.#handle.unref();
  }
  cancel(): void {
    clearTimeout(this.#handle);
  }
}

/** `performance.now()` counts from the start of its thread; the process's clock counts from one moment for all. */
const threadStartMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

const monotonicMs = (): number => threadStartMs + performance.now();

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs,
  // Node 22 cannot tell: there what others took of the core looks like our own work.
  threadCpuMs:
    process.threadCpuUsage === undefined
      ? monotonicMs
      : () => {
          // Linux brings a running thread's time up to date with the ticks of its timer, every 4 ms as a rule, and when
          // somebody asks for that of the whole process.
          process.cpuUsage();
          const { user, system } = process.threadCpuUsage();
          return (user + system) / 1000;
        },
  setTimer: (delayMs, onFire) => new SystemTimer(delayMs, onFire),
};
