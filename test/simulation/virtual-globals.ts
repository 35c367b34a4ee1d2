/**
 * While a run lasts, whatever waits for real time or tells it is replaced: waiting goes through the
 * scheduler, and reading a real clock or real randomness is a fault that ends the run, since a run that did
 * so could not be replayed.
 */
import type { Scheduled, Scheduler } from './scheduler.ts';

const REPLACED = [
  'setImmediate',
  'setInterval',
  'setTimeout',
  'clearImmediate',
  'clearInterval',
  'clearTimeout',
] as const;

/** How long one turn of an event loop takes: what comes in meanwhile is there when its immediates run. */
const TURN_MS = 0.02;

/** Returns what puts everything back. */
export function replaceGlobals(
  scheduler: Scheduler,
  thread: {
    /** The thread whose turn it is wants to hear of its own uncaught faults. */
    onUncaughtHandler(handler: (error: unknown) => void): void;
    /** It ends itself. */
    exit(): void;
  },
): () => void {
  const target = globalThis as unknown as Record<string, unknown>;
  const saved = new Map(REPLACED.map((name) => [name, target[name]]));
  const { now } = Date;
  const { random } = Math;
  const performanceNow = performance.now;
  const { on, exit } = process;

  target.setImmediate = (run: (...args: unknown[]) => void, ...args: unknown[]) =>
    scheduler.afterMine(scheduler.random.next() * TURN_MS, 'immediate', () => run(...args));
  target.setTimeout = (run: () => void, delayMs = 0) =>
    scheduler.afterMine(Math.max(1, delayMs), 'timeout', run);
  target.setInterval = (run: () => void, intervalMs: number) => new Interval(scheduler, run, intervalMs);
  const clear = (scheduled: Scheduled | undefined): void => scheduled?.cancel();
  target.clearImmediate = clear;
  target.clearInterval = clear;
  target.clearTimeout = clear;
  const unseeded = (what: string) => (): never => {
    const error = new Error(`${what} was called in a simulated run, which could not be replayed`);
    scheduler.stop(error);
    throw error;
  };
  Date.now = unseeded('Date.now');
  performance.now = unseeded('performance.now');
  Math.random = unseeded('Math.random');
  // A thread of the daemon that listens for faults of its own hears those of its own turns.
  process.on = ((event: string, listener: (...args: unknown[]) => void) => {
    if (event === 'uncaughtException') thread.onUncaughtHandler(listener);
    else on.call(process, event, listener);
    return process;
  }) as typeof process.on;
  process.exit = (() => thread.exit()) as unknown as typeof process.exit;

  return () => {
    for (const [name, value] of saved) target[name] = value;
    Date.now = now;
    Math.random = random;
    performance.now = performanceNow;
    process.on = on;
    process.exit = exit;
  };
}

class Interval implements Scheduled {
  #next: Scheduled;
  #isOver = false;
  constructor(scheduler: Scheduler, run: () => void, intervalMs: number) {
    const tick = (): void => {
      run();
      if (!this.#isOver) this.#next = scheduler.afterMine(intervalMs, 'interval', tick);
    };
    this.#next = scheduler.afterMine(intervalMs, 'interval', tick);
  }
  cancel(): void {
    this.#isOver = true;
    this.#next.cancel();
  }
}
