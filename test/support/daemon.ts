/** Starts the real daemon as its own process, in a folder of its own, on free ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ENTRY = new URL('../../bin/telemetry-sink.js', import.meta.url).pathname;

export interface LogRecord {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Exit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class DaemonProcess {
  readonly folder: string;
  readonly log: LogRecord[] = [];
  stderr = '';
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  #waiting: { matches: (record: LogRecord) => boolean; resolve: (record: LogRecord) => void }[] = [];

  /** `launcher`: a program that becomes the daemon, such as taskset. `entry`: built, in place of the sources. */
  constructor(
    folder: string,
    environment: Readonly<Record<string, string>>,
    args: readonly string[] = [],
    launcher: readonly string[] = [],
    entry = ENTRY,
  ) {
    this.folder = folder;
    const [program, ...rest] = [...launcher, process.execPath, entry, 'serve', ...args];
    this.#child = spawn(program!, rest, {
      // A folder without an .env file, so that a developer's own does not change what is tested.
      cwd: tmpdir(),
      env: {
        PATH: process.env.PATH,
        FILE_PATH: folder,
        GRPC_SERVER_SOCKET: 'localhost:0',
        ADMIN_SOCKET: 'localhost:0',
        LOG_FORMAT: 'json',
        // TRANSPORT=native node --test test/integration/*.test.ts: the same tests on the other transport.
        ...(process.env.TRANSPORT === undefined ? {} : { TRANSPORT: process.env.TRANSPORT }),
        // One, unless the test or the caller asks for more: `auto` would depend on the machine.
        INGEST_THREADS: process.env.INGEST_THREADS ?? '1',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const record = JSON.parse(line) as LogRecord;
      this.log.push(record);
      for (const waiter of this.#waiting.filter(({ matches }) => matches(record))) waiter.resolve(record);
    });
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.exited = once(this.#child, 'close').then(([status, signal]) => ({ status, signal }) as Exit);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The first record, past or future, whose message contains `text`; fails when the daemon ends before. */
  async logged(text: string): Promise<LogRecord> {
    const past = this.log.find(({ msg }) => msg.includes(text));
    if (past !== undefined) return past;
    const found = new Promise<LogRecord>((resolve) => {
      this.#waiting.push({ matches: ({ msg }) => msg.includes(text), resolve });
    });
    const ended = this.exited.then((exit) => {
      const last = this.log.find(({ msg }) => msg.includes(text));
      if (last !== undefined) return last;
      throw new Error(
        `the daemon ended (${JSON.stringify(exit)}) before it logged "${text}": ${this.stderr}\n${JSON.stringify(this.log.at(-1))}`,
      );
    });
    return Promise.race([found, ended]);
  }

  /** Ready to serve: the addresses of both servers. */
  async ready(): Promise<{ readonly grpc: string; readonly admin: string }> {
    const { grpc, admin } = await this.logged('serving');
    return { grpc: (grpc as string[])[0]!, admin: (admin as string[])[0]! };
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async stop(): Promise<Exit> {
    this.signal('SIGTERM');
    return this.exited;
  }
}

/** A journal folder that goes away with the test, and daemons on it that never outlive the test. */
export async function daemonHome(t: { after(clean: () => Promise<void>): void }): Promise<{
  readonly folder: string;
  start(
    environment?: Readonly<Record<string, string>>,
    args?: readonly string[],
    launcher?: readonly string[],
  ): DaemonProcess;
  /** Runs once the daemons have ended, before the folder is removed. */
  beforeClean(clean: () => Promise<void>): void;
}> {
  const home = await mkdtemp(join(tmpdir(), 'telemetry-sink-'));
  const folder = join(home, 'data');
  const started: DaemonProcess[] = [];
  const cleaners: (() => Promise<void>)[] = [];
  t.after(async () => {
    for (const daemon of started) {
      daemon.signal('SIGKILL');
      await daemon.exited;
    }
    for (const clean of cleaners) await clean();
    await rm(home, { recursive: true, force: true });
  });
  return {
    folder,
    start: (environment = {}, args = [], launcher = []) => {
      const daemon = new DaemonProcess(folder, environment, args, launcher);
      started.push(daemon);
      return daemon;
    },
    beforeClean: (clean) => cleaners.push(clean),
  };
}
