/**
 * Tells whether the journal still writes where everybody looks for it. Open files go on working after
 * their folder was removed, renamed or unmounted, so success of a write says nothing about that.
 *
 * Invariant: a folder that went away is never made anew at run time. It may be a volume that is not
 * mounted just now, and what we wrote into the mount point beneath would be hidden when it comes back.
 */
import type { FileStatus, FileSystem } from './file-system.ts';
import type { FolderLock } from './folder-lock.ts';
import type { WriteFault } from './write-fault.ts';

export class FolderWatch {
  readonly #fileSystem: FileSystem;
  readonly #folder: string;
  #known: FileStatus;

  private constructor(fileSystem: FileSystem, folder: string, known: FileStatus) {
    this.#fileSystem = fileSystem;
    this.#folder = folder;
    this.#known = known;
  }

  static async begin(fileSystem: FileSystem, folder: string): Promise<FolderWatch> {
    const known = await fileSystem.stat(folder);
    if (known === undefined) throw Object.assign(new Error(`${folder} is missing`), { code: 'ENOENT' });
    return new FolderWatch(fileSystem, folder, known);
  }

  /** Undefined while all is as it was. Throws when the file system cannot say. */
  check(lock: FolderLock): WriteFault | undefined {
    const now = this.#fileSystem.statSync(this.#folder);
    if (now === undefined) return missing(this.#folder);
    if (now.inode !== this.#known.inode || now.device !== this.#known.device) {
      return { code: 'FOLDER_REPLACED', message: `${this.#folder} is not the folder it was` };
    }
    if (!lock.isHeld()) {
      return { code: 'LOCK_LOST', message: `the lock file in ${this.#folder} was removed` };
    }
    return undefined;
  }

  /** Whether what is at the path now may be written to; then it is also what `check` compares with from now on. */
  async accept(journalFolder: string): Promise<WriteFault | undefined> {
    const now = await this.#fileSystem.stat(this.#folder);
    if (now === undefined) return missing(this.#folder);
    // Device numbers may change when a volume is mounted again; then its journal is how we know it.
    if (now.device !== this.#known.device && (await this.#fileSystem.stat(journalFolder)) === undefined) {
      return {
        code: 'VOLUME_MISSING',
        message: `${this.#folder} lies on another file system than before and holds no journal: is its volume mounted?`,
      };
    }
    this.#known = now;
    return undefined;
  }
}

function missing(folder: string): WriteFault {
  return { code: 'FOLDER_MISSING', message: `${folder} is missing` };
}
