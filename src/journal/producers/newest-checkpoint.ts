/** Finds the checkpoint that a restart would take: for the restart, and for retention, which must leave what that one needs. */
import { join } from 'node:path';
import { type FileSystem, readWholeFile } from '../file-system.ts';
import { parseProducersFile } from '../segment-name.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';

export interface CheckpointFile {
  readonly file: string;
  readonly path: string;
  /** Of the segment that it was written for. */
  readonly number: number;
}

export interface FoundCheckpoint {
  readonly path: string;
  readonly checkpoint: Checkpoint;
}

/** The newest first. */
export async function checkpointFiles(
  fileSystem: FileSystem,
  journalFolder: string,
): Promise<readonly CheckpointFile[]> {
  return (await fileSystem.list(journalFolder))
    .flatMap((file) => {
      const name = parseProducersFile(file);
      return name === undefined ? [] : [{ file, path: join(journalFolder, file), number: name.number }];
    })
    .sort((a, b) => b.number - a.number);
}

export async function newestCheckpoint(
  fileSystem: FileSystem,
  files: readonly CheckpointFile[],
  onFault: (fault: string) => void = () => {},
): Promise<FoundCheckpoint | undefined> {
  for (const { file, path } of files) {
    const content = await readWholeFile(fileSystem, path);
    if (content === undefined) continue; // removed meanwhile, for a newer one
    const checkpoint = parseCheckpoint(content);
    if (checkpoint !== undefined) return { path, checkpoint };
    onFault(`${file} is torn or damaged: an older one is taken`);
  }
  return undefined;
}

/** From here on no power cut takes it. */
export async function makeDurable(
  fileSystem: FileSystem,
  journalFolder: string,
  { path }: FoundCheckpoint,
): Promise<void> {
  const fd = await fileSystem.open(path, 'modify');
  try {
    await fileSystem.syncData(fd);
  } finally {
    await fileSystem.close(fd);
  }
  await fileSystem.syncFolder(journalFolder);
}
