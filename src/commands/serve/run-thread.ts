/** A thread beside the writer's that writes what goes around the page cache, so that the writer sums up meanwhile. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { errorMessage } from '../../base/errors.ts';
import { workerEntry } from '../../base/worker-entry.ts';
import { RunControl, type SharedRuns, sharedRuns } from '../../journal/run-control.ts';

/** It writes, and has next to no garbage. */
const YOUNG_GENERATION_MIB = 1;

export class RunThread {
  readonly control: RunControl;
  readonly #worker: Worker;
  #isClosed = false;

  private constructor(shared: SharedRuns, onGone: (message: string) => void) {
    this.control = new RunControl(shared);
    this.#worker = new Worker(workerEntry('run-worker', import.meta.url), {
      name: 'disk',
      workerData: shared,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    // Without it the writer writes by itself; what it was about to write is told as failed.
    let fault = 'it ended';
    this.#worker.on('error', (error) => {
      fault = errorMessage(error);
    });
    this.#worker.on('exit', () => {
      this.control.gone();
      if (!this.#isClosed)
        onGone(`the thread that writes beside the writer is gone: ${fault}; the writer writes by itself`);
    });
    this.#worker.unref();
  }

  /** Undefined on one core: there others work while the writer waits for the disk. */
  static start(onGone: (message: string) => void): RunThread | undefined {
    return availableParallelism() > 1 ? new RunThread(sharedRuns(), onGone) : undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.control.close();
  }
}
