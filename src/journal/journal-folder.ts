/**
 * The journal folder as its owner holds it: made and locked at start, watched, and taken up again when it
 * was away for a while.
 *
 * Invariant: only `open` makes the folder; see folder-watch.ts. `takeUpAgain` makes at most what is inside it.
 */
import { dirname, join, resolve } from 'node:path';
import { errorMessage, SinkError } from '../base/errors.ts';
import type { FileSystem } from './file-system.ts';
import type { FolderLock } from './folder-lock.ts';
import { lockFolder } from './folder-lock.ts';
import { FolderWatch } from './folder-watch.ts';
import type { SegmentFolders } from './open-segment.ts';
import { JOURNAL_FOLDER } from './segment-name.ts';
import type { WriteFault } from './write-fault.ts';

export class JournalFolder {
  readonly paths: SegmentFolders;
  readonly #fileSystem: FileSystem;
  readonly #watch: FolderWatch;
  #lock: FolderLock;

  private constructor(fileSystem: FileSystem, paths: SegmentFolders, watch: FolderWatch, lock: FolderLock) {
    this.#fileSystem = fileSystem;
    this.paths = paths;
    this.#watch = watch;
    this.#lock = lock;
  }

  /** Throws SinkError FOLDER_LOCKED, FOLDER_NOT_WRITABLE or JOURNAL_UNREADABLE. */
  static async open(fileSystem: FileSystem, folder: string): Promise<JournalFolder> {
    const paths: SegmentFolders = { folder, journalFolder: join(folder, JOURNAL_FOLDER) };
    try {
      await fileSystem.makeFolder(paths.journalFolder, true);
    } catch (error) {
      const reason = errorMessage(error);
      throw new SinkError(
        'FOLDER_NOT_WRITABLE',
        `FILE_PATH ${folder}: cannot be created: ${reason}; name a folder that this user may write to`,
        { cause: error },
      );
    }
    const lock = await lockFolder(fileSystem, folder, paths.journalFolder);
    try {
      for (const path of [dirname(resolve(folder)), folder]) {
        try {
          await fileSystem.syncFolder(path);
        } catch {
          // The parent may be unreadable to us; a folder that a power cut takes back was empty anyway.
        }
      }
      return new JournalFolder(fileSystem, paths, await FolderWatch.begin(fileSystem, folder), lock);
    } catch (error) {
      await lock.release();
      throw new SinkError('FOLDER_NOT_WRITABLE', `FILE_PATH ${folder}: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  /** Undefined while folder and lock are what they were. Throws when the file system cannot say. */
  check(): WriteFault | undefined {
    return this.#watch.check(this.#lock);
  }

  /** After `check` found a fault: undefined once the folder is back and locked, else what is still wrong. May throw. */
  async takeUpAgain(): Promise<WriteFault | undefined> {
    const { folder, journalFolder } = this.paths;
    const refusal = await this.#watch.accept(journalFolder);
    if (refusal !== undefined) return refusal;
    if ((await this.#fileSystem.stat(journalFolder)) === undefined) {
      await this.#fileSystem.makeFolder(journalFolder, false);
    }
    await this.#lock.release();
    this.#lock = await lockFolder(this.#fileSystem, folder, journalFolder);
    return undefined;
  }

  release(): Promise<void> {
    return this.#lock.release();
  }
}
