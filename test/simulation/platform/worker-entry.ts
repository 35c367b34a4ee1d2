/**
 * In place of src/commands/serve/worker-thread.ts for the entry files of workers: an entry that is loaded
 * does not run, but is kept, so that the simulated threads can begin it as often as they like.
 */
import { runWorker as runReally } from '../../../src/commands/serve/worker-thread.ts';
import type { WorkerEntry } from '../world.ts';
import { enterWorker } from './worker-threads.ts';

let loaded: WorkerEntry | undefined;

export async function runWorker(start: Parameters<typeof runReally>[0]): Promise<void> {
  loaded = (port, data) => {
    enterWorker(port, data);
    return runReally(start);
  };
}

/** The entry that was loaded last. */
export function takeEntry(): WorkerEntry {
  const entry = loaded;
  loaded = undefined;
  if (entry === undefined) throw new Error('the file that was loaded is no entry of a worker');
  return entry;
}
