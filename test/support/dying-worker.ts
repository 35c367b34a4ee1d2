/** A worker that starts well and dies over its close, as a writer would whose disk does the unthinkable. */
import { runWorker } from '../../src/commands/serve/worker-thread.ts';

await runWorker<undefined, never>(async () => ({
  ready: undefined,
  close: () => Promise.reject(new Error('the floor gave way')),
}));
