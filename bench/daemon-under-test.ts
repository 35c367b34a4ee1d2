/** A daemon to be measured: its own process, pinned, on a fresh folder, and held to its word when it stops. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonProcess } from '../test/support/daemon.ts';
import { type Cores, pinned } from './cores.ts';

export interface DaemonWish {
  /** The journal's folder is made in here. */
  readonly parent: string;
  readonly cores: Cores;
  readonly environment: Readonly<Record<string, string>>;
}

export class DaemonUnderTest {
  /** What is run; undefined: the sources of the checkout. */
  static entry: string | undefined;
  readonly folder: string;
  readonly grpc: string;
  readonly admin: string;
  readonly #process: DaemonProcess;

  private constructor(folder: string, process: DaemonProcess, addresses: { grpc: string; admin: string }) {
    this.folder = folder;
    this.#process = process;
    this.grpc = addresses.grpc;
    this.admin = addresses.admin;
  }

  static async start({ parent, cores, environment }: DaemonWish): Promise<DaemonUnderTest> {
    const folder = await mkdtemp(join(parent, 'telemetry-sink-bench-'));
    const daemon = new DaemonProcess(
      folder,
      { LOGGER_MIN_LOG_LEVEL: 'info', ...environment },
      [],
      pinned(cores.daemon, []),
      DaemonUnderTest.entry,
    );
    const kill = (): void => daemon.signal('SIGKILL');
    process.once('exit', kill);
    void daemon.exited.then(() => process.off('exit', kill));
    try {
      return new DaemonUnderTest(folder, daemon, await daemon.ready());
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Every sample of /metrics, `name{labels}` as printed. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`http://${this.admin}/metrics`);
    const samples = new Map<string, number>();
    for (const line of (await response.text()).split('\n')) {
      if (line === '' || line.startsWith('#')) continue;
      const space = line.lastIndexOf(' ');
      samples.set(line.slice(0, space), Number(line.slice(space + 1)));
    }
    return samples;
  }

  /** Requests that were not served. Those that the load itself gave up at its end do not count. */
  async #faults(): Promise<number> {
    let faults = 0;
    for (const [name, value] of await this.metrics()) {
      const isFault = /^telemetry_sink_requests_(refused|failed)_total/.test(name);
      if (isFault && !name.includes('"cancelled"')) faults += value;
    }
    return faults;
  }

  /** Stops it, and throws unless it ended well. The folder stays. */
  async stop(): Promise<Balance> {
    const exit = await this.#process.stop();
    const last = this.#process.log.at(-1);
    const books = last as unknown as { requests?: Book; readings?: Book } | undefined;
    if (exit.status !== 0 || books?.requests === undefined || books.readings === undefined) {
      throw new Error(`the daemon ended badly: ${JSON.stringify(exit)} ${last?.msg} ${this.#process.stderr}`);
    }
    return {
      requestsDifference: books.requests.difference,
      readingsDifference: books.readings.difference,
      readingsWritten: books.readings.written ?? 0,
      text: last!.msg,
    };
  }

  /** Stops it, and throws unless its books balance too. */
  async stopBalanced(): Promise<Balance> {
    const balance = await this.stop();
    if (balance.requestsDifference !== 0 || balance.readingsDifference !== 0) throw new Error(balance.text);
    return balance;
  }

  /** Stops it, and throws unless its books balance and it served every request: else nothing was measured. */
  async stopMeasured(): Promise<Balance> {
    const faults = await this.#faults();
    if (faults > 0) throw new Error(`${faults} requests were refused or failed: not a measurement`);
    return this.stopBalanced();
  }

  /** After `stop`, or in place of it when something went wrong. */
  async remove(): Promise<void> {
    this.#process.signal('SIGKILL');
    await this.#process.exited;
    await rm(this.folder, { recursive: true, force: true });
  }
}

interface Book {
  readonly difference: number;
  readonly written?: number;
}

export interface Balance {
  readonly requestsDifference: number;
  readonly readingsDifference: number;
  readonly readingsWritten: number;
  /** The daemon's last log line. */
  readonly text: string;
}
