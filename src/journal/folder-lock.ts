/**
 * One daemon per journal folder. The lock is an exclusive SQLite transaction that is never committed: the
 * operating system holds it for us and drops it when the process dies, however it dies. A pid file could
 * not say that (pids repeat in containers, and files outlive their writers).
 *
 * Invariants:
 * 1. The lock file holds nothing and is never written to; it costs no disk space, so a full disk can be locked.
 * 2. Nobody in this process may open lock.sqlite but this module: POSIX drops a process's locks on a file
 *    as soon as any of its descriptors for that file is closed.
 * 3. The lock is on the file, not on the name: `isHeld` compares the two, since a removed lock file would
 *    let a second daemon lock a new one of the same name.
 * 4. owner.json beside it is a hint for people, written after locking. Nothing is decided by it.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';
import type { FileSystem } from './file-system.ts';
import { readWholeFile, writeFully } from './file-system.ts';

export const LOCK_FILE = 'lock.sqlite';
const OWNER_FILE = 'owner.json';

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_NOT_A_DATABASE = 26;

export interface FolderLock {
  /** False once the lock file was removed or replaced: the lock protects nothing any more. May throw. */
  isHeld(): boolean;
  release(): Promise<void>;
}

/** `folder` is FILE_PATH, for messages; `journalFolder` the folder inside it that holds the lock. */
export async function lockFolder(
  fileSystem: FileSystem,
  folder: string,
  journalFolder: string,
): Promise<FolderLock> {
  const lockPath = join(journalFolder, LOCK_FILE);
  const ownerPath = join(journalFolder, OWNER_FILE);
  let database: DatabaseSync | undefined;
  try {
    database = openDatabase(lockPath);
    // MEMORY: no rollback file, there is nothing to roll back.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    const locked = fileSystem.statSync(lockPath);
    if (locked === undefined) throw new Error('the lock file vanished while it was being locked');
    await writeOwner(fileSystem, ownerPath);
    return new SqliteLock(fileSystem, database, lockPath, ownerPath, locked.device, locked.inode);
  } catch (error) {
    if (database?.isOpen) database.close();
    const code = (error as { errcode?: number }).errcode;
    if (code === SQLITE_BUSY || code === SQLITE_LOCKED) {
      const owner = await readOwner(fileSystem, ownerPath);
      throw new SinkError(
        'FOLDER_LOCKED',
        `FILE_PATH ${folder}: in use by another telemetry-sink${owner}; each daemon needs a folder of its own`,
        { cause: error },
      );
    }
    if (code === SQLITE_NOT_A_DATABASE) {
      throw new SinkError(
        'JOURNAL_UNREADABLE',
        `FILE_PATH ${folder}: ${lockPath} is damaged; it holds no data, remove it while no daemon runs`,
        { cause: error },
      );
    }
    throw new SinkError(
      'FOLDER_NOT_WRITABLE',
      `FILE_PATH ${folder}: cannot be locked: ${errorMessage(error)}; name a folder that this user may write to`,
      {
        cause: error,
      },
    );
  }
}

class SqliteLock implements FolderLock {
  readonly #fileSystem: FileSystem;
  readonly #database: DatabaseSync;
  readonly #lockPath: string;
  readonly #ownerPath: string;
  readonly #device: number;
  readonly #inode: number;

  constructor(
    fileSystem: FileSystem,
    database: DatabaseSync,
    lockPath: string,
    ownerPath: string,
    device: number,
    inode: number,
  ) {
    this.#fileSystem = fileSystem;
    this.#database = database;
    this.#lockPath = lockPath;
    this.#ownerPath = ownerPath;
    this.#device = device;
    this.#inode = inode;
  }

  isHeld(): boolean {
    const named = this.#fileSystem.statSync(this.#lockPath);
    return named !== undefined && named.device === this.#device && named.inode === this.#inode;
  }

  async release(): Promise<void> {
    if (!this.#database.isOpen) return;
    try {
      // Only our own hint: whoever locked a new file of this name has written theirs.
      if (this.isHeld()) await this.#fileSystem.unlink(this.#ownerPath);
    } catch {
      // A hint that stays behind misleads nobody: it is only shown while the lock is held.
    }
    this.#database.close();
  }
}

/** Node 22 and 23 announce node:sqlite as experimental on first use; operators can do nothing about it. */
function openDatabase(path: string): DatabaseSync {
  const emitWarning = process.emitWarning;
  process.emitWarning = () => {};
  try {
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
    return new DatabaseSync(path);
  } finally {
    process.emitWarning = emitWarning;
  }
}

async function writeOwner(fileSystem: FileSystem, ownerPath: string): Promise<void> {
  const owner = { pid: process.pid, host: hostname(), locked_at: new Date().toISOString() };
  try {
    const fd = await fileSystem.open(ownerPath, 'replace');
    try {
      await writeFully(fileSystem, fd, Buffer.from(`${JSON.stringify(owner)}\n`), 0);
    } finally {
      await fileSystem.close(fd);
    }
  } catch (error) {
    // Only a hint, so a full disk must not keep us from starting. A read-only one is told apart here,
    // since locking an existing file needs no write.
    if (['EROFS', 'EACCES', 'EPERM'].includes(systemErrorCode(error))) throw error;
  }
}

async function readOwner(fileSystem: FileSystem, ownerPath: string): Promise<string> {
  try {
    const content = await readWholeFile(fileSystem, ownerPath);
    if (content === undefined) return '';
    const owner = JSON.parse(Buffer.from(content).toString('utf8')) as { pid: number; host: string };
    return ` (process ${Number(owner.pid)} on ${String(owner.host).slice(0, 255)})`;
  } catch {
    return '';
  }
}
