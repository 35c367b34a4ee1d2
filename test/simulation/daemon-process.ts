/** One life of the daemon: the real Daemon in a simulated process, from its start to whatever ends it. */

import type { StatusSource } from '../../src/admin/status-source.ts';
import { type DaemonConfig, daemonGroups } from '../../src/commands/option-groups.ts';
import { Daemon } from '../../src/commands/serve/daemon.ts';
import { resolve } from '../../src/config/resolve.ts';
import type { DaemonLog } from '../../src/observe/logger.ts';
import { systemClock } from './platform/clock.ts';
import { NOBODY } from './scheduler.ts';
import { SimulatedThread } from './threads.ts';
import { world } from './world.ts';

/** The numbers of the last line of the log. */
export interface LoggedBooks {
  readonly requests: {
    readonly received: number;
    readonly ok: number;
    readonly inFlight: number;
    readonly difference: number;
  };
  readonly readings: {
    readonly decoded: number;
    readonly written: number;
    readonly deduplicated: number;
    readonly inFlight: number;
    readonly difference: number;
    readonly lost: Readonly<Record<string, number>>;
  };
}

/** `queueBytes` may be smaller than the option allows: what a full queue leads to needs no mebibytes. */
export function configOf(
  env: Readonly<Record<string, string>>,
  queueBytes: number | undefined,
): DaemonConfig {
  const { config, faults } = resolve(daemonGroups, { given: new Map(), env, envFile: undefined });
  if (faults.length > 0) throw new Error(faults.map(({ message }) => message).join('; '));
  const given = config as unknown as DaemonConfig;
  return queueBytes === undefined ? given : { ...given, pipeline: { ...given.pipeline, queueBytes } };
}

export class DaemonProcess {
  readonly main = new SimulatedThread('main');
  readonly threads: SimulatedThread[] = [this.main];
  /** Its start came to an end, well or not. */
  readonly ready: Promise<'ready'>;
  /** The exit status, or -1 for one that was killed. */
  readonly ended: Promise<number>;
  /** The last line of the log. */
  books: LoggedBooks | undefined;
  /** Why it could not start. */
  startFault: Error | undefined;
  status: StatusSource | undefined;
  isOver = false;
  /** Threads that somebody ended. */
  killedThreads: string[] = [];
  readonly #config: DaemonConfig;
  #daemon: Daemon | undefined;
  #onReady!: () => void;
  #onEnded!: (status: number) => void;

  constructor(config: DaemonConfig) {
    this.#config = config;
    this.ready = new Promise((resolveReady) => {
      this.#onReady = () => resolveReady('ready');
    });
    this.ended = new Promise((resolveEnded) => {
      this.#onEnded = resolveEnded;
    });
    world().scheduler.after(0, { owner: this.main }, 'the daemon starts', () => {
      const daemon = new Daemon(this.#config, this.#log(), systemClock);
      this.#daemon = daemon;
      daemon.start().then(
        () => this.#later('the daemon serves', this.#onReady),
        (error: Error) => {
          this.startFault = error;
          this.#exit(2);
        },
      );
      void daemon.stopped.then((status) => this.#exit(status));
    });
  }

  get serving(): boolean {
    return !this.isOver && this.status?.phase() === 'serving';
  }

  terminate(): void {
    world().scheduler.after(0, { owner: this.main }, 'SIGTERM', () => this.#daemon!.stop('SIGTERM'));
  }

  /** Ends all of it, now; what becomes of the disk is the caller's to say. */
  kill(): void {
    if (this.isOver) return;
    this.isOver = true;
    world().lock = undefined;
    for (const thread of this.threads) {
      thread.onGone = () => {};
      thread.die();
    }
    this.#later('the process is gone', () => this.#onEnded(-1));
  }

  uncaught(error: unknown, thread: SimulatedThread): void {
    if (thread === this.main) world().violation(`uncaught in the main thread: ${describe(error)}`);
    else if (thread.onUncaught !== undefined) thread.onUncaught(error);
    else thread.die(error as Error);
  }

  #exit(status: number): void {
    this.#later('the process ends', () => {
      if (this.isOver) return;
      this.isOver = true;
      world().lock = undefined;
      for (const thread of this.threads) {
        thread.onGone = () => {};
        thread.die();
      }
      world().disk.processEnded();
      this.#onEnded(status);
    });
  }

  /** In a turn of the world's: who waits for it must not go on as a thread of the daemon. */
  #later(label: string, then: () => void): void {
    world().scheduler.after(0, NOBODY, label, then);
  }

  #log(): DaemonLog {
    const { scheduler } = world();
    const write = (level: string, first: unknown, message?: unknown): void => {
      const fields = typeof first === 'object' && first !== null ? (first as Record<string, unknown>) : {};
      if (fields.requests !== undefined && fields.readings !== undefined)
        this.books = fields as unknown as LoggedBooks;
      scheduler.note(`log ${level}: ${String(typeof first === 'string' ? first : message)}`);
    };
    const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
    const logger = Object.fromEntries(
      levels.map((level) => [level, (first: unknown, message?: unknown) => write(level, first, message)]),
    );
    return { logger: logger as never, closeLogger: async () => {}, droppedLines: () => 0 };
  }
}

export function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
