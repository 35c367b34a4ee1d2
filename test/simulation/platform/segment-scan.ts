/** In place of src/journal/segment-scan.ts for recovery: itself, but for a deliberate bug. */
import { scanSegment as scanReally } from '../../../src/journal/segment-scan.ts';
import { world } from '../world.ts';

export * from '../../../src/journal/segment-scan.ts';

export const scanSegment: typeof scanReally = async (fileSystem, fd, sizeBytes, sidecar) => {
  const scan = await scanReally(fileSystem, fd, sizeBytes, sidecar);
  return world().bug?.scan?.(scan, sizeBytes) ?? scan;
};
