/**
 * Writing around the page cache, for all segments of one writer: the buffer that the bytes are gathered in, and
 * the knowledge of whether it works here and pays.
 *
 *   untried ──first large group──▶ in use ──a very slow disk──▶ resting
 *      │                              ▲──── 1,024 large groups ────┘
 *      └── the file system says EINVAL ──▶ refused
 *
 * O_DIRECT asks for memory, place and length in whole blocks. JavaScript cannot see where a buffer lies, but the
 * kernel can: the offset that it takes is found by trying (at most 256 refusals of a microsecond each, once).
 *
 * Invariants:
 * 1. The buffer is not changed while a write from it is under way: writes block.
 * 2. Which way is taken changes what a write costs and nothing else.
 */

import { KiB, MiB } from '../base/byte-size.ts';
import type { Clock } from '../base/clock.ts';
import { systemErrorCode } from '../base/errors.ts';
import type { FileSystem } from './file-system.ts';

/** The page of the page cache and the largest logical block of common disks. */
export const DIRECT_BLOCK_BYTES = 4 * KiB;
/**
 * Below, waiting for the disk takes as long as the page cache does. Not higher: what goes through the page cache at a high
 * rate is written back by each sync in one go, and every write behind that waits (docs/decisions/0123).
 */
const SMALLEST_GROUP_BYTES = 64 * KiB;
/** One write; longer ones save next to nothing. */
export const RUN_BYTES = MiB;
/** Copied, and handed on while it is in the cache of one core. */
const PIECE_BYTES = 128 * KiB;
/** Somewhere in it a run begins at a block. */
export const DIRECT_BUFFER_BYTES = RUN_BYTES + DIRECT_BLOCK_BYTES;
/** malloc aligns to this; a large block of it begins this far into a page. */
const MEMORY_STEP_BYTES = 16;
/**
 * A disk that takes 20 MiB/s is left to the page cache: there a wait would be felt. The limit is far from what disks do
 * because a wait seems long on a busy core, where others run meanwhile; it is CPU time that is saved here.
 */
const SLOW_MS_PER_MIB = 50;
/** Large groups that are judged together: single ones wait for a sync now and then. */
const JUDGED_GROUPS = 32;
const RESTED_GROUPS = 1024;

/** `position`: where in the file they go, or went. Not to be kept: the memory is used again. */
export type OnCopied = (bytes: Uint8Array, position: number) => void;

export class DirectWrites {
  /** The file system takes none. */
  isRefused = false;
  readonly #clock: Clock;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  /** Where whole blocks begin in the buffer; undefined until a write from there was taken. */
  #start: number | undefined;
  /** Since the last judgement. */
  #groups = 0;
  #bytes = 0;
  #durationMs = 0;
  /** Large groups that still go through the page cache. */
  #restingGroups = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  /** Whether a group of that size should go around the page cache. */
  prefers(groupBytes: number): boolean {
    if (this.isRefused || groupBytes < SMALLEST_GROUP_BYTES) return false;
    if (this.#restingGroups === 0) return true;
    this.#restingGroups--;
    return false;
  }

  /** How long a group took that went around. */
  measured(groupBytes: number, durationMs: number): void {
    this.#bytes += groupBytes;
    this.#durationMs += durationMs;
    if (++this.#groups < JUDGED_GROUPS) return;
    if ((this.#durationMs * MiB) / this.#bytes > SLOW_MS_PER_MIB) this.#restingGroups = RESTED_GROUPS;
    this.#groups = this.#bytes = this.#durationMs = 0;
  }

  /** A segment could not be opened for it. */
  notOpened(error: unknown): void {
    if (isRefusal(error)) this.isRefused = true;
  }

  /**
   * Writes whole blocks from the front of `parts`, which have `leftBytes` and at least one block; `position` is a
   * block boundary. Returns how many bytes the file system took; 0 when it takes none this way at all, which
   * `isRefused` then says. Throws its error otherwise. `onCopied` gets the bytes before they are written.
   */
  write(
    fileSystem: FileSystem,
    fd: number,
    parts: readonly Uint8Array[],
    leftBytes: number,
    position: number,
    onCopied: OnCopied,
  ): number {
    const blocks = Math.floor(Math.min(leftBytes, RUN_BYTES) / DIRECT_BLOCK_BYTES);
    const bytes = blocks * DIRECT_BLOCK_BYTES;
    this.#buffer ??= new Uint8Array(new ArrayBuffer(DIRECT_BUFFER_BYTES));
    const buffer = this.#buffer;
    if (this.#start !== undefined) {
      gather(parts, buffer, this.#start, bytes, position, onCopied);
      try {
        return fileSystem.writevSync(fd, [buffer.subarray(this.#start, this.#start + bytes)], position);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        return this.#refuse();
      }
    }
    // Tried with one block, so that a refusal costs next to nothing.
    for (let step = 1; step <= DIRECT_BLOCK_BYTES / MEMORY_STEP_BYTES; step++) {
      const start = DIRECT_BLOCK_BYTES - step * MEMORY_STEP_BYTES;
      const block = buffer.subarray(start, start + DIRECT_BLOCK_BYTES);
      gather(parts, block, 0, DIRECT_BLOCK_BYTES, position, onCopied);
      try {
        const count = fileSystem.writevSync(fd, [block], position);
        this.#start = start;
        return count;
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    }
    return this.#refuse();
  }

  #refuse(): 0 {
    this.isRefused = true;
    this.#buffer = undefined;
    return 0;
  }
}

function gather(
  parts: readonly Uint8Array[],
  target: Uint8Array,
  start: number,
  bytes: number,
  position: number,
  onCopied: OnCopied,
): void {
  let copied = 0;
  for (const part of parts) {
    for (let from = 0; from < part.length; from += PIECE_BYTES) {
      if (copied === bytes) return;
      const length = Math.min(PIECE_BYTES, part.length - from, bytes - copied);
      const at = start + copied;
      target.set(part.subarray(from, from + length), at);
      onCopied(target.subarray(at, at + length), position + copied);
      copied += length;
    }
  }
}

/** What file systems without O_DIRECT say, and what wrong alignment is told. */
function isRefusal(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === 'EINVAL' || code === 'ENOTSUP' || code === 'EOPNOTSUPP';
}
