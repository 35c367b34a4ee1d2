/** In place of src/journal/file-system.ts: the same door, to the simulated disk. */
import type { FileSystem } from '../../../src/journal/file-system.ts';
import { world } from '../world.ts';

export * from '../../../src/journal/file-system.ts';

export const realFileSystem: FileSystem = new Proxy({} as FileSystem, {
  get: (_target, method: keyof FileSystem) => world().fileSystem[method],
});
