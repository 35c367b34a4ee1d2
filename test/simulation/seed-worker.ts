/** A thread that runs the seeds of one task after the other until there are no more of it, and tells of each. */
import { parentPort } from 'node:worker_threads';
import type { SeedTask } from './run-seeds.ts';

await import('./replaced-modules.ts');
const { simulate } = await import('./simulate.ts');
const { DELIBERATE_BUGS } = await import('./deliberate-bugs.ts');

parentPort!.on('message', async ({ seeds, next, bugIndex }: SeedTask) => {
  for (;;) {
    const index = Atomics.add(next, 0, 1);
    const seed = seeds[index];
    if (seed === undefined) break;
    const bug = bugIndex === undefined ? undefined : DELIBERATE_BUGS[bugIndex]!();
    parentPort!.postMessage(await simulate(seed, bug === undefined ? {} : { bug }));
  }
  parentPort!.postMessage('over');
});
