/** Finds the checkpoint that a restart would take: for the restart, and for retention, which must leave what that one needs. */
import { join } from 'node:path';
import { type FileSystem, readWholeFile } from '../file-system.ts';
import { parseProducersFile } from '../segment-name.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';

export interface FoundCheckpoint {
  readonly path: string;
  readonly checkpoint: Checkpoint;
}

export async function newestCheckpoint(
  fileSystem: FileSystem,
  journalFolder: string,
  onFault: (fault: string) => void = () => {},
): Promise<FoundCheckpoint | undefined> {
  const files = (await fileSystem.list(journalFolder))
    .flatMap((file) => {
      const name = parseProducersFile(file);
      return name === undefined ? [] : [{ file, number: name.number }];
    })
    .sort((a, b) => b.number - a.number);
  for (const { file } of files) {
    const path = join(journalFolder, file);
    const content = await readWholeFile(fileSystem, path);
    if (content === undefined) continue; // removed meanwhile, for a newer one
    const checkpoint = parseCheckpoint(content);
    if (checkpoint !== undefined) return { path, checkpoint };
    onFault(`${file} is torn or damaged: an older one is taken`);
  }
  return undefined;
}

/**
 * The oldest segment whose lines no durable checkpoint holds in full; Infinity when there are none, and nobody numbers.
 * What it says stays true whatever happens: the checkpoint it is taken from is on the disk, for good.
 */
export async function oldestSegmentNeeded(fileSystem: FileSystem, journalFolder: string): Promise<number> {
  const found = await newestCheckpoint(fileSystem, journalFolder);
  if (found === undefined) return Number.POSITIVE_INFINITY;
  const fd = await fileSystem.open(found.path, 'modify');
  try {
    await fileSystem.syncData(fd);
  } finally {
    await fileSystem.close(fd);
  }
  await fileSystem.syncFolder(journalFolder);
  return found.checkpoint.scanFrom;
}
