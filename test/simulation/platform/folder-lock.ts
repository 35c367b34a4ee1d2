/** In place of src/journal/folder-lock.ts: a lock that the process holds and its death drops, without SQLite. */
import { join } from 'node:path';
import { SinkError } from '../../../src/base/errors.ts';
import type { FileSystem } from '../../../src/journal/file-system.ts';
import { writeFully } from '../../../src/journal/file-system.ts';
import type * as original from '../../../src/journal/folder-lock.ts';
import type { FolderLock } from '../../../src/journal/folder-lock.ts';
import { world } from '../world.ts';

export const LOCK_FILE: typeof original.LOCK_FILE = 'lock.sqlite';
const OWNER_FILE = 'owner.json';

export const lockFolder: typeof original.lockFolder = async (fileSystem, folder, journalFolder) => {
  if (world().lock !== undefined) throw new SinkError('FOLDER_LOCKED', `FILE_PATH ${folder}: in use`);
  const lockPath = join(journalFolder, LOCK_FILE);
  const ownerPath = join(journalFolder, OWNER_FILE);
  try {
    if (fileSystem.statSync(lockPath) === undefined)
      fileSystem.closeSync(fileSystem.openSync(lockPath, 'write'));
    const locked = fileSystem.statSync(lockPath);
    if (locked === undefined) throw new Error('the lock file vanished');
    world().lock = {};
    await writeOwner(fileSystem, ownerPath).catch(() => {});
    return new Lock(fileSystem, lockPath, ownerPath, locked.inode);
  } catch (error) {
    throw new SinkError('FOLDER_NOT_WRITABLE', `FILE_PATH ${folder}: cannot be locked: ${String(error)}`);
  }
};

async function writeOwner(fileSystem: FileSystem, ownerPath: string): Promise<void> {
  const fd = await fileSystem.open(ownerPath, 'replace');
  try {
    await writeFully(fileSystem, fd, Buffer.from('{"pid":1,"host":"simulated"}\n'), 0);
  } finally {
    await fileSystem.close(fd);
  }
}

class Lock implements FolderLock {
  readonly #fileSystem: FileSystem;
  readonly #lockPath: string;
  readonly #ownerPath: string;
  readonly #inode: number;

  constructor(fileSystem: FileSystem, lockPath: string, ownerPath: string, inode: number) {
    this.#fileSystem = fileSystem;
    this.#lockPath = lockPath;
    this.#ownerPath = ownerPath;
    this.#inode = inode;
  }

  isHeld(): boolean {
    return this.#fileSystem.statSync(this.#lockPath)?.inode === this.#inode;
  }

  async release(): Promise<void> {
    try {
      if (this.isHeld()) await this.#fileSystem.unlink(this.#ownerPath);
    } catch {
      // As with the real one.
    }
    world().lock = undefined;
  }
}
