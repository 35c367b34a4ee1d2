/** A thread that runs seeds until there are no more, and tells of each. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SeedTask } from './run-seeds.ts';

await import('./replaced-modules.ts');
const { simulate } = await import('./simulate.ts');
const { DELIBERATE_BUGS } = await import('./deliberate-bugs.ts');

const { seeds, next, bugIndex } = workerData as SeedTask;
for (;;) {
  const index = Atomics.add(next, 0, 1);
  const seed = seeds[index];
  if (seed === undefined) break;
  const bug = bugIndex === undefined ? undefined : DELIBERATE_BUGS[bugIndex]!();
  parentPort!.postMessage(await simulate(seed, bug === undefined ? {} : { bug }));
}
