/** Takes a journal folder into possession at start: makes it, makes its name durable, locks it. */
import { dirname, resolve } from 'node:path';
import { errorMessage, SinkError } from '../base/errors.ts';
import type { FileSystem } from './file-system.ts';
import type { FolderLock } from './folder-lock.ts';
import { lockFolder } from './folder-lock.ts';
import { FolderWatch } from './folder-watch.ts';
import type { SegmentFolders } from './open-segment.ts';

export async function openFolder(
  fileSystem: FileSystem,
  { folder, journalFolder }: SegmentFolders,
): Promise<{ lock: FolderLock; watch: FolderWatch }> {
  try {
    await fileSystem.makeFolder(journalFolder, true);
  } catch (error) {
    throw new SinkError(
      'FOLDER_NOT_WRITABLE',
      `FILE_PATH ${folder}: cannot be created: ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
  const lock = await lockFolder(fileSystem, folder, journalFolder);
  try {
    for (const path of [dirname(resolve(folder)), folder]) {
      try {
        await fileSystem.syncFolder(path);
      } catch {
        // The parent may be unreadable to us; a folder that a power cut takes back was empty anyway.
      }
    }
    return { lock, watch: await FolderWatch.begin(fileSystem, folder) };
  } catch (error) {
    await lock.release();
    throw new SinkError('FOLDER_NOT_WRITABLE', `FILE_PATH ${folder}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
