/**
 * The one door between the journal and the disk: every file-system call of the journal is a method here,
 * so that a test can make any single call fail, at any call site, with any error, or write short.
 *
 * Two kinds of method:
 * - `...Sync` block the calling thread. The append path uses them (a write into the page cache is faster
 *   than a trip through the thread pool) and so do checks that must be true at that very moment.
 * - the others run in libuv's thread pool and return a promise: everything that may wait for the disk.
 *
 * Invariants:
 * 1. Errors are Node's system errors (`code`, `syscall`), never swallowed here.
 * 2. A missing file is an ordinary answer (undefined) where asking for it is ordinary: stat and statSync.
 * 3. Reads and writes say where (position); no descriptor's own offset is ever relied on.
 */
import * as fs from 'node:fs';
import { open as openHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { makeFolders } from '../base/make-folders.ts';

/**
 * read: must exist. create: read and write, must not exist. write: read and write, created when missing.
 * modify: read and write, must exist. replace: read and write, created or emptied.
 * direct: like modify, but around the page cache: memory, place and length of each write in whole blocks. EINVAL
 * where there is no such thing.
 */
export type OpenMode = 'read' | 'create' | 'write' | 'modify' | 'replace' | 'direct';

export interface FileStatus {
  readonly sizeBytes: number;
  /** Names that lead to it; 0 once it is removed. */
  readonly linkCount: number;
  readonly device: number;
  readonly inode: number;
  readonly modifiedAtMs: number;
  readonly isFolder: boolean;
}

export interface SpaceStatus {
  /** What an unprivileged process may still use. */
  readonly availableBytes: number;
  readonly totalBytes: number;
}

export interface FileSystem {
  openSync(path: string, mode: OpenMode): number;
  closeSync(fd: number): void;
  /** Bytes written, which may be fewer than given. */
  writevSync(fd: number, parts: readonly Uint8Array[], position: number): number;
  truncateSync(fd: number, sizeBytes: number): void;
  statusSync(fd: number): FileStatus;
  statSync(path: string): FileStatus | undefined;
  unlinkSync(path: string): void;

  open(path: string, mode: OpenMode): Promise<number>;
  close(fd: number): Promise<void>;
  /** Bytes read; 0 at the end of the file. */
  read(fd: number, target: Uint8Array, position: number): Promise<number>;
  /** Bytes written, which may be fewer than given. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<number>;
  truncate(fd: number, sizeBytes: number): Promise<void>;
  status(fd: number): Promise<FileStatus>;
  /** Data and what is needed to read it back (its size). */
  syncData(fd: number): Promise<void>;
  /** Data and everything about the file. */
  sync(fd: number): Promise<void>;
  /** Makes the names in a folder durable: creations, renames and removals. */
  syncFolder(path: string): Promise<void>;
  stat(path: string): Promise<FileStatus | undefined>;
  /** Names in a folder, without order. */
  list(path: string): Promise<string[]>;
  makeFolder(path: string, recursive: boolean): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  space(path: string): Promise<SpaceStatus>;
}

const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC } = fs.constants;
/** Linux has it; elsewhere it is undefined. */
const O_DIRECT = fs.constants.O_DIRECT as number | undefined;
const OPEN_FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY,
  create: O_RDWR | O_CREAT | O_EXCL,
  write: O_RDWR | O_CREAT,
  modify: O_RDWR,
  replace: O_RDWR | O_CREAT | O_TRUNC,
  direct: O_RDWR | (O_DIRECT ?? 0),
};

const openAsync = promisify(fs.open);
const closeAsync = promisify(fs.close);
const truncateAsync = promisify(fs.ftruncate);
const statusAsync = promisify(fs.fstat);
const syncDataAsync = promisify(fs.fdatasync);
const syncAsync = promisify(fs.fsync);

function fileStatus(stats: fs.Stats): FileStatus {
  return {
    sizeBytes: stats.size,
    linkCount: stats.nlink,
    device: stats.dev,
    inode: stats.ino,
    modifiedAtMs: stats.mtimeMs,
    isFolder: stats.isDirectory(),
  };
}

export const realFileSystem: FileSystem = {
  openSync: (path, mode) => {
    if (mode === 'direct' && O_DIRECT === undefined) throw noDirectWrites();
    return fs.openSync(path, OPEN_FLAGS[mode]);
  },
  closeSync: (fd) => fs.closeSync(fd),
  writevSync: (fd, parts, position) => fs.writevSync(fd, parts as Uint8Array[], position),
  truncateSync: (fd, sizeBytes) => fs.ftruncateSync(fd, sizeBytes),
  statusSync: (fd) => fileStatus(fs.fstatSync(fd)),
  statSync: (path) => {
    const stats = fs.statSync(path, { throwIfNoEntry: false });
    return stats === undefined ? undefined : fileStatus(stats);
  },
  unlinkSync: (path) => fs.unlinkSync(path),

  open: (path, mode) => openAsync(path, OPEN_FLAGS[mode]),
  close: (fd) => closeAsync(fd),
  read: (fd, target, position) =>
    new Promise((resolve, reject) => {
      fs.read(fd, target, 0, target.length, position, (error, bytes) =>
        error === null ? resolve(bytes) : reject(error),
      );
    }),
  write: (fd, bytes, position) =>
    new Promise((resolve, reject) => {
      fs.write(fd, bytes, 0, bytes.length, position, (error, written) =>
        error === null ? resolve(written) : reject(error),
      );
    }),
  truncate: (fd, sizeBytes) => truncateAsync(fd, sizeBytes),
  status: async (fd) => fileStatus(await statusAsync(fd)),
  syncData: (fd) => syncDataAsync(fd),
  sync: (fd) => syncAsync(fd),
  syncFolder: async (path) => {
    const handle = await openHandle(path, O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  stat: async (path) => {
    try {
      return fileStatus(await fs.promises.stat(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  },
  list: (path) => fs.promises.readdir(path),
  makeFolder: async (path, recursive) => {
    await (recursive ? makeFolders(path) : fs.promises.mkdir(path));
  },
  rename: (from, to) => fs.promises.rename(from, to),
  unlink: (path) => fs.promises.unlink(path),
  space: async (path) => {
    const stats = await fs.promises.statfs(path);
    return { availableBytes: stats.bavail * stats.bsize, totalBytes: stats.blocks * stats.bsize };
  },
};

/** The whole of a small file, or undefined when there is none. */
export async function readWholeFile(
  fileSystem: FileSystem,
  path: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const status = await fileSystem.stat(path);
  if (status === undefined) return undefined;
  const fd = await fileSystem.open(path, 'read');
  try {
    // It may grow while it is read: what was there at the stat is what we return.
    const bytes = new Uint8Array(status.sizeBytes);
    const length = await readFully(fileSystem, fd, bytes, 0);
    return bytes.subarray(0, length);
  } finally {
    await fileSystem.close(fd);
  }
}

/** Fills `target` from `position` on; fewer bytes come back only at the end of the file. */
export async function readFully(
  fileSystem: FileSystem,
  fd: number,
  target: Uint8Array,
  position: number,
): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const got = await fileSystem.read(fd, target.subarray(filled), position + filled);
    if (got === 0) break;
    filled += got;
  }
  return filled;
}

/** Writes all of `bytes` or throws; a short write is continued. */
export async function writeFully(
  fileSystem: FileSystem,
  fd: number,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const wrote = await fileSystem.write(fd, bytes.subarray(done), position + done);
    if (wrote === 0) throw wroteNothing();
    done += wrote;
  }
}

function noDirectWrites(): NodeJS.ErrnoException {
  return Object.assign(new Error('EINVAL: this system has no O_DIRECT'), { code: 'EINVAL', syscall: 'open' });
}

/** A write that neither fails nor moves would loop for ever. */
export function wroteNothing(): NodeJS.ErrnoException {
  return Object.assign(new Error('EIO: the file system wrote nothing and gave no error'), {
    code: 'EIO',
    syscall: 'write',
  });
}
