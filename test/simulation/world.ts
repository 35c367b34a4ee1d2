/** The one world a run takes place in, where the replaced modules find it. */
import type { StatusSource } from '../../src/admin/status-source.ts';
import type { FileSystem } from '../../src/journal/file-system.ts';
import type { Bug } from './deliberate-bugs.ts';
import type { SimulatedDisk } from './disk.ts';
import type { Network } from './network.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimulatedPort, SimulatedThread } from './threads.ts';

export type WorkerEntry = (port: SimulatedPort, data: unknown) => Promise<void>;

export interface World {
  readonly scheduler: Scheduler;
  readonly disk: SimulatedDisk;
  /** The daemon's door to it. */
  readonly fileSystem: FileSystem;
  readonly network: Network;
  /** Entry files of worker threads, by file name. */
  readonly entries: ReadonlyMap<string, WorkerEntry>;
  /** Added to the time since the start: the wall clock, which jumps. */
  wallMs: number;
  threadStarted(thread: SimulatedThread): void;
  /** What the admin side of a daemon that starts would show. */
  onStatus(status: StatusSource): void;
  /** Something that must not be: ends the run. */
  violation(message: string): void;
  /** Put in on purpose; undefined in an ordinary run. */
  readonly bug: Bug | undefined;
  /** Held by the process that runs. */
  lock: object | undefined;
}

let present: World | undefined;

export function isRunning(): boolean {
  return present !== undefined;
}

export function world(): World {
  if (present === undefined) throw new Error('no simulated run is under way');
  return present;
}

export function setWorld(next: World | undefined): void {
  present = next;
}
