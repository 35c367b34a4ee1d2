/**
 * The daemon inside the test's own process, so that a test can reach its threads: end one, make one throw,
 * hold one up. Nothing in the daemon helps with that; Node.js tells of every worker, and its inspector
 * runs code in them.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { systemClock } from '../../src/base/clock.ts';
import { type DaemonConfig, daemonGroups } from '../../src/commands/option-groups.ts';
import { Daemon } from '../../src/commands/serve/daemon.ts';
import { resolve } from '../../src/config/resolve.ts';
import { createLogger } from '../../src/observe/logger.ts';
import type { LogRecord } from './daemon.ts';

export interface Status {
  readonly connections_by_thread: Readonly<Record<string, number>>;
  readonly readiness: readonly { readonly check: string; readonly ok: boolean; readonly reason?: string }[];
  readonly queue: { readonly used_bytes: number; readonly waiting_requests: number };
  readonly ledger: {
    readonly requests: Book;
    readonly readings: Book & { readonly written: number; readonly decoded: number };
  };
}
interface Book {
  readonly in_flight: number;
  readonly difference: number;
  readonly failed?: Readonly<Record<string, number>>;
  readonly lost?: Readonly<Record<string, number>>;
}

export class InProcessDaemon {
  readonly folder: string;
  readonly log: LogRecord[] = [];
  readonly stopped: Promise<number>;
  readonly #daemon: Daemon;
  readonly #workers = new Map<number, Worker>();
  readonly #session = new Session();
  /** Inspector sessions by thread name; the latest of that name. */
  readonly #sessions = new Map<string, string>();
  readonly #threadIds = new Map<string, number>();
  #attached: (() => void)[] = [];
  grpc = '';
  admin = '';

  private constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.folder = folder;
    const env = {
      FILE_PATH: folder,
      GRPC_SERVER_SOCKET: 'localhost:0',
      ADMIN_SOCKET: 'localhost:0',
      INGEST_THREADS: '3',
      ...environment,
    };
    const { config, faults } = resolve(daemonGroups, { given: new Map(), env, envFile: undefined });
    if (faults.length > 0) throw new Error(faults.map(({ message }) => message).join('; '));
    const daemonConfig = config as unknown as DaemonConfig;
    const destination = {
      write: (line: string) => void this.log.push(JSON.parse(line) as LogRecord),
      close: () => Promise.resolve(),
      droppedLines: 0,
    };
    const log = createLogger(daemonConfig.observe, destination as never, {
      isPretty: false,
      isColour: false,
    });
    this.#daemon = new Daemon(daemonConfig, log, systemClock);
    this.stopped = this.#daemon.stopped;
  }

  static async start(
    t: { after(clean: () => Promise<void>): void },
    environment: Readonly<Record<string, string>> = {},
  ): Promise<InProcessDaemon> {
    const home = await mkdtemp(join(tmpdir(), 'telemetry-sink-'));
    const daemon = new InProcessDaemon(join(home, 'data'), environment);
    const onWorker = (worker: Worker): void => void daemon.#workers.set(worker.threadId, worker);
    process.on('worker', onWorker);
    await daemon.#inspect();
    t.after(async () => {
      process.off('worker', onWorker);
      daemon.#session.disconnect();
      daemon.#daemon.stop('the test is over');
      await Promise.race([daemon.stopped, daemon.#daemon.abort('the test is over')]);
      for (const release of daemon.#held) await release();
      for (const worker of daemon.#workers.values()) await worker.terminate();
      await rm(home, { recursive: true, force: true });
    });
    await daemon.#daemon.start();
    const serving = daemon.log.find(({ msg }) => msg.startsWith('serving'))!;
    daemon.grpc = (serving.grpc as string[])[0]!;
    daemon.admin = (serving.admin as string[])[0]!;
    return daemon;
  }

  /** As SIGTERM does; resolves with the exit status. */
  stop(): Promise<number> {
    this.#daemon.stop('the test said so');
    return this.stopped;
  }

  abort(): Promise<number> {
    return this.#daemon.abort('the test said so');
  }

  /** An error that nobody catches, between two turns of the thread's event loop. */
  async break(thread: string): Promise<void> {
    await this.run(thread, 'setImmediate(() => { throw new Error("pulled the rug") })');
  }

  /** Ends a thread in the midst of whatever it does. Not one with node:http2 in it, which aborts the process. */
  async kill(thread: string): Promise<void> {
    await this.#workers.get(this.#threadIds.get(thread)!)!.terminate();
  }

  /** Runs `expression` in a thread, which may be a long time. */
  async run(thread: string, expression: string): Promise<void> {
    while (!this.#sessions.has(thread)) await new Promise<void>((done) => this.#attached.push(done));
    const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
    await this.#session.post('NodeWorker.sendMessageToWorker', {
      sessionId: this.#sessions.get(thread)!,
      message,
    });
  }

  /** Holds a thread up until the returned function is called. */
  async hold(thread: string): Promise<() => Promise<void>> {
    const release = join(this.folder, '..', `release-${thread}-${this.#held.length}`);
    await this.run(
      thread,
      `{
        const { existsSync } = process.getBuiltinModule('fs');
        const cell = new Int32Array(new SharedArrayBuffer(4));
        while (!existsSync(${JSON.stringify(release)})) Atomics.wait(cell, 0, 0, 20);
      }`,
    );
    const letGo = (): Promise<void> => writeFile(release, '');
    this.#held.push(letGo);
    return letGo;
  }
  readonly #held: (() => Promise<void>)[] = [];

  async status(): Promise<Status> {
    return (await (await fetch(`http://${this.admin}/api/v1/status`)).json()) as Status;
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://${this.admin}/metrics`)).text();
  }

  /** Looks until the status is as wanted; the test's own time limit ends a wait in vain. */
  async until(isWanted: (status: Status) => boolean): Promise<Status> {
    for (;;) {
      const status = await this.status();
      if (isWanted(status)) return status;
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  async #inspect(): Promise<void> {
    this.#session.connect();
    this.#session.on('NodeWorker.attachedToWorker', ({ params }) => {
      const [, threadId, name] = /^\[worker (\d+)\] (.*)$/.exec(
        params.workerInfo.title,
      ) as unknown as string[];
      this.#sessions.set(name!, params.sessionId);
      this.#threadIds.set(name!, Number(threadId));
      for (const wake of this.#attached.splice(0)) wake();
    });
    await this.#session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  }
}
