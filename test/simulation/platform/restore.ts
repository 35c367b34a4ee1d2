/** In place of src/journal/producers/restore.ts for the writer thread: itself, but for a deliberate bug. */
import { restoreProducers as restoreReally } from '../../../src/journal/producers/restore.ts';
import { world } from '../world.ts';

export const restoreProducers: typeof restoreReally = async (...args) => {
  const restored = await restoreReally(...args);
  return world().bug?.forgetsProducers === true ? { ...restored, producers: [] } : restored;
};
