/** The entry files of the daemon's worker threads, loaded once and begun as often as a thread is. */
import { takeEntry } from './platform/worker-entry.ts';
import type { WorkerEntry } from './world.ts';

const entries = new Map<string, WorkerEntry>();

for (const name of ['ingest-worker', 'writer-worker', 'archive-worker']) {
  await import(`../../src/commands/serve/${name}.ts`);
  entries.set(`${name}.ts`, takeEntry());
}

export const workerEntries: ReadonlyMap<string, WorkerEntry> = entries;
