/** A thread beside the writer's that writes what goes around the page cache, so that the writer sums up meanwhile. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { RunControl, type SharedRuns, sharedRuns } from '../../journal/run-control.ts';

/** It writes, and has next to no garbage. */
const YOUNG_GENERATION_MIB = 1;

export class RunThread {
  readonly control: RunControl;
  readonly #worker: Worker;

  private constructor(shared: SharedRuns) {
    this.control = new RunControl(shared);
    const ending = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    this.#worker = new Worker(new URL(`./run-worker${ending}`, import.meta.url), {
      name: 'disk',
      workerData: shared,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    // Without it the writer writes by itself; what it was about to write is told as failed.
    this.#worker.on('error', () => {});
    this.#worker.unref();
  }

  /** Undefined on one core: there others work while the writer waits for the disk. */
  static start(): RunThread | undefined {
    return availableParallelism() > 1 ? new RunThread(sharedRuns()) : undefined;
  }

  close(): void {
    this.control.close();
  }
}
