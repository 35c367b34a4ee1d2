/** What goes wrong while the daemon runs, short of the end of its process. */
import type { Random } from '../../src/base/random.ts';
import type { DaemonProcess } from './daemon-process.ts';
import type { DiskFaults, SimulatedDisk } from './disk.ts';
import type { Network } from './network.ts';
import type { Oracle } from './oracle.ts';
import { NOBODY, type Scheduler } from './scheduler.ts';
import { world } from './world.ts';

export const MISHAPS = [
  'syncs fail',
  'writes fail',
  'anything fails',
  'disk full',
  'clock jump',
  'stuck thread',
  'connection breaks',
  'ingest thread ends',
  'ingest thread throws',
  'writer ends',
  'archiver ends',
] as const;
export type Mishap = (typeof MISHAPS)[number];

/** A mishap that ends the daemon makes the rest of its life dull. */
const RARE: ReadonlySet<Mishap> = new Set<Mishap>(['writer ends', 'archiver ends']);

export interface MishapParts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly disk: SimulatedDisk;
  readonly network: Network;
  readonly oracle: Oracle;
}

export class Mishaps {
  readonly counts: Record<string, number> = Object.fromEntries(MISHAPS.map((mishap) => [mishap, 0]));
  readonly #parts: MishapParts;
  readonly #everyMs: number;
  readonly #flaws: DiskFaults;
  #process: DaemonProcess | undefined;

  /** `flaws`: what the disk does wrong all the time. */
  constructor(everyMs: number, flaws: DiskFaults, parts: MishapParts) {
    this.#flaws = flaws;
    this.#parts = parts;
    this.#everyMs = everyMs;
  }

  begin(process: DaemonProcess): void {
    this.#process = process;
    Object.assign(this.#parts.disk.faults, this.#flaws);
    if (this.#everyMs !== Number.POSITIVE_INFINITY) this.#arm(process);
  }

  /** The machine is as it should be again. */
  end(): void {
    this.#process = undefined;
    const { disk } = this.#parts;
    disk.faults.sync = disk.faults.write = disk.faults.anything = 0;
    disk.capacityBytes = Number.POSITIVE_INFINITY;
  }

  #arm(process: DaemonProcess): void {
    const { scheduler, random } = this.#parts;
    scheduler.after(2 * random.next() * this.#everyMs, NOBODY, 'mishap', () => {
      if (this.#process !== process || process.isOver) return;
      const mishap = MISHAPS[random.below(MISHAPS.length)]!;
      if (!RARE.has(mishap) || random.below(6) === 0) {
        this.counts[mishap]!++;
        scheduler.note(`mishap: ${mishap}`);
        this.#happen(mishap, process);
      }
      this.#arm(process);
    });
  }

  #happen(mishap: Mishap, process: DaemonProcess): void {
    const { disk, network, random, oracle } = this.#parts;
    switch (mishap) {
      case 'syncs fail':
        this.#forAWhile(
          process,
          () => (disk.faults.sync = 0.7),
          () => (disk.faults.sync = this.#flaws.sync),
        );
        break;
      case 'writes fail':
        this.#forAWhile(
          process,
          () => (disk.faults.write = [0.1, 0.6][random.below(2)]!),
          () => (disk.faults.write = this.#flaws.write),
        );
        break;
      case 'anything fails':
        this.#forAWhile(
          process,
          () => (disk.faults.anything = 0.1),
          () => (disk.faults.anything = this.#flaws.anything),
        );
        break;
      case 'disk full':
        this.#forAWhile(
          process,
          () => (disk.capacityBytes = disk.usedBytes + random.below([500, 5000, 100_000][random.below(3)]!)),
          () => (disk.capacityBytes = Number.POSITIVE_INFINITY),
        );
        break;
      case 'clock jump':
        world().wallMs += (random.next() - 0.5) * [100, 10_000, 10_000_000][random.below(3)]!;
        break;
      case 'stuck thread': {
        const thread = process.threads[random.below(process.threads.length)]!;
        const stuckMs = random.next() * [20, 1000, 8000][random.below(3)]!;
        thread.stalledUntilMs = this.#parts.scheduler.nowMs + stuckMs;
        oracle.slowestMs = Math.max(oracle.slowestMs, stuckMs);
        break;
      }
      case 'connection breaks':
        network.breakOne();
        break;
      case 'ingest thread ends':
      case 'ingest thread throws':
        this.#endThread(process, 'ingest', mishap === 'ingest thread throws');
        break;
      case 'writer ends':
        this.#endThread(process, 'writer', false);
        break;
      case 'archiver ends':
        this.#endThread(process, 'archive', false);
        break;
    }
  }

  #forAWhile(process: DaemonProcess, begin: () => void, end: () => void): void {
    const { scheduler, random } = this.#parts;
    begin();
    scheduler.after(random.next() * [30, 300, 3000][random.below(3)]!, NOBODY, 'mishap is over', () => {
      if (this.#process === process) end();
    });
  }

  #endThread(process: DaemonProcess, name: string, throws: boolean): void {
    const { scheduler, random, oracle } = this.#parts;
    // While the daemon starts, the end of a thread is the end of the start.
    if (!process.serving) return;
    const threads = process.threads.filter((thread) => thread.isAlive && thread.name.startsWith(name));
    const thread = threads[random.below(threads.length)];
    if (thread === undefined) return;
    oracle.queueLost();
    process.killedThreads.push(thread.name);
    const rug = new Error('the rug was pulled');
    if (throws) {
      scheduler.after(0, { owner: thread }, 'throws', () => {
        throw rug;
      });
    } else {
      thread.die(rug);
    }
  }
}
