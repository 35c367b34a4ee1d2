/** In place of src/journal/json-writer.ts for the writer thread: itself, but for a deliberate bug. */
import { openJsonWriter as openReally } from '../../../src/journal/json-writer.ts';
import { world } from '../world.ts';

export * from '../../../src/journal/json-writer.ts';

export const openJsonWriter: typeof openReally = async (options, parts) => {
  const writer = await openReally(options, parts);
  return world().bug?.writer?.(writer) ?? writer;
};
