/**
 * Who writes a run of whole blocks around the page cache: the thread that gathered it, which waits for the disk then, or one
 * beside it (run-control.ts), so that the next run is gathered and summed up meanwhile.
 *
 * Invariant: at most one run is under way, so runs reach the file in order.
 */
import { KiB, MiB } from '../base/byte-size.ts';
import type { FileSystem } from './file-system.ts';

/** The page of the page cache and the largest logical block of common disks. */
export const DIRECT_BLOCK_BYTES = 4 * KiB;
/** One write; longer ones save next to nothing. */
export const RUN_BYTES = MiB;
/** Somewhere in it a run begins at a block. */
export const RUN_MEMORY_BYTES = RUN_BYTES + DIRECT_BLOCK_BYTES;

export interface RunMemory {
  readonly bytes: Uint8Array;
  /** Where whole blocks begin in it; undefined until a write from there was taken. */
  start: number | undefined;
}

export interface RunWriter {
  readonly isReady: boolean;
  /** Filled in turns: what is under way is not to be changed. */
  readonly memories: readonly RunMemory[];
  begin(fd: number, memory: number, bytes: number, position: number): void;
  /** Waits for the run that was begun. Returns how many bytes the file system took; throws its error. */
  end(): number;
}

/** In whichever thread: one place of the file system for both (docs/faults.md). */
export function writeRun(fileSystem: FileSystem, fd: number, run: Uint8Array, position: number): number {
  return fileSystem.writevSync(fd, [run], position);
}

export class BlockingRunWriter implements RunWriter {
  readonly isReady = true;
  readonly #fileSystem: FileSystem;
  #memories: readonly RunMemory[] | undefined;
  #written = 0;
  #failed: { readonly error: unknown } | undefined;

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  /** One is enough: a run is over when it has begun. */
  get memories(): readonly RunMemory[] {
    this.#memories ??= [{ bytes: new Uint8Array(RUN_MEMORY_BYTES), start: undefined }];
    return this.#memories;
  }

  begin(fd: number, memory: number, bytes: number, position: number): void {
    const { bytes: from, start } = this.memories[memory]!;
    this.#failed = undefined;
    try {
      this.#written = writeRun(this.#fileSystem, fd, from.subarray(start, start! + bytes), position);
    } catch (error) {
      this.#failed = { error };
    }
  }

  end(): number {
    if (this.#failed !== undefined) throw this.#failed.error;
    return this.#written;
  }
}
