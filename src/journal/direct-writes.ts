/**
 * Writing around the page cache, for all segments of one writer: bytes are gathered in runs, and it is known whether it works
 * here and pays.
 *
 *   untried ──first large group──▶ in use ──a very slow disk──▶ resting
 *      │                              ▲──── 1,024 large groups ────┘
 *      └── the file system says EINVAL ──▶ refused
 *
 * O_DIRECT asks for memory, place and length in whole blocks. JavaScript cannot see where a buffer lies, but the
 * kernel can: the offset that it takes is found by trying (at most 256 refusals of a microsecond each, once).
 *
 * Invariants:
 * 1. Memory is not changed while a write from it is under way, and no write is when `write` returns.
 * 2. Which way is taken changes what a write costs and nothing else.
 * 3. Runs reach the file in order; behind one that falls short nothing is begun.
 */

import { KiB, MiB } from '../base/byte-size.ts';
import type { Clock } from '../base/clock.ts';
import { systemErrorCode } from '../base/errors.ts';
import type { FileSystem } from './file-system.ts';
import { wroteNothing } from './file-system.ts';
import {
  BlockingRunWriter,
  DIRECT_BLOCK_BYTES,
  RUN_BYTES,
  type RunMemory,
  type RunWriter,
} from './run-writer.ts';

/**
 * Below, waiting for the disk takes as long as the page cache does. Not higher: what goes through the page cache at a high
 * rate is written back by each sync in one go, and every write behind that waits (docs/decisions/0123).
 */
const SMALLEST_GROUP_BYTES = 64 * KiB;
/** Copied, and handed on while it is in the cache of one core. */
const PIECE_BYTES = 128 * KiB;
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

export interface WriteReport {
  /** Bytes from the front that are in the file. */
  readonly written: number;
  /** Why the rest is not. */
  readonly error: unknown;
}

export class DirectWrites {
  /** The file system takes none. */
  isRefused = false;
  readonly #clock: Clock;
  readonly #fileSystem: FileSystem;
  readonly #blocking: RunWriter;
  readonly #beside: RunWriter | undefined;
  /** Since the last judgement. */
  #groups = 0;
  #bytes = 0;
  #durationMs = 0;
  /** Large groups that still go through the page cache. */
  #restingGroups = 0;

  /** `beside`: writes runs in a thread of its own, once it is ready. */
  constructor(clock: Clock, fileSystem: FileSystem, beside?: RunWriter) {
    this.#clock = clock;
    this.#fileSystem = fileSystem;
    this.#blocking = new BlockingRunWriter(fileSystem);
    this.#beside = beside;
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
   * Writes the whole blocks at the front of `parts`, which have `leftBytes` and at least one block; `position` is a
   * block boundary. While one run is written the next is gathered. When the file system takes none this way,
   * `isRefused` says so, and that is no error. `onCopied` gets the bytes before they are written.
   */
  write(
    fd: number,
    parts: readonly Uint8Array[],
    leftBytes: number,
    position: number,
    onCopied: OnCopied,
  ): WriteReport {
    const wholeBytes = leftBytes - (leftBytes % DIRECT_BLOCK_BYTES);
    const beside = wholeBytes > RUN_BYTES ? this.#beside : undefined;
    const writer = beside?.isReady === true ? beside : this.#blocking;
    const { memories } = writer;
    let rest = parts;
    let gathered = 0;
    let written = 0;
    let underWay = 0;
    try {
      for (let turn = 0; ; turn++) {
        const memory = turn % memories.length;
        const run = memories[memory]!;
        // The first of each memory is one block, so that a refusal costs next to nothing.
        const isTried = run.start !== undefined;
        const bytes = isTried ? Math.min(wholeBytes - gathered, RUN_BYTES) : 0;
        if (bytes > 0) gather(rest, run.bytes, run.start!, bytes, position + gathered, onCopied);
        if (underWay > 0) {
          const begun = underWay;
          underWay = 0;
          const count = writer.end();
          written += count;
          if (count < begun) return { written, error: count <= 0 ? wroteNothing() : undefined };
        }
        if (gathered === wholeBytes) return { written, error: undefined };
        if (isTried) {
          writer.begin(fd, memory, bytes, position + gathered);
          underWay = bytes;
          gathered += bytes;
          rest = skipBytes(rest, bytes);
          continue;
        }
        const count = this.#try(run, fd, rest, position + gathered, onCopied);
        written += count;
        gathered += count;
        rest = skipBytes(rest, count);
        if (count < DIRECT_BLOCK_BYTES) return { written, error: undefined };
      }
    } catch (error) {
      if (!isRefusal(error)) return { written, error };
      this.isRefused = true;
      return { written, error: undefined };
    } finally {
      if (underWay > 0) settle(writer);
    }
  }

  /** Looks for the place in the memory that the kernel takes a block from. Throws the last refusal when there is none. */
  #try(
    run: RunMemory,
    fd: number,
    parts: readonly Uint8Array[],
    position: number,
    onCopied: OnCopied,
  ): number {
    for (let step = 1; ; step++) {
      const start = DIRECT_BLOCK_BYTES - step * MEMORY_STEP_BYTES;
      const block = run.bytes.subarray(start, start + DIRECT_BLOCK_BYTES);
      gather(parts, block, 0, DIRECT_BLOCK_BYTES, position, onCopied);
      try {
        const count = this.#fileSystem.writevSync(fd, [block], position);
        if (count <= 0) throw wroteNothing();
        run.start = start;
        return count;
      } catch (error) {
        if (!isRefusal(error) || start === 0) throw error;
      }
    }
  }
}

/** A fault of ours came in between. What the run did is found out like after any fault. */
function settle(writer: RunWriter): void {
  try {
    writer.end();
  } catch {
    // Nothing of it is kept in any case.
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
    // A view with a `copy`: `set` goes byte by byte where memory is shared (docs/decisions/0126).
    const source = Buffer.from(part.buffer, part.byteOffset, part.length);
    for (let from = 0; from < part.length; from += PIECE_BYTES) {
      if (copied === bytes) return;
      const length = Math.min(PIECE_BYTES, part.length - from, bytes - copied);
      const at = start + copied;
      source.copy(target, at, from, from + length);
      onCopied(target.subarray(at, at + length), position + copied);
      copied += length;
    }
  }
}

export function skipBytes(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let rest = count;
  let index = 0;
  while (index < parts.length && rest >= parts[index]!.length) rest -= parts[index++]!.length;
  const left = parts.slice(index);
  if (rest > 0) left[0] = left[0]!.subarray(rest);
  return left;
}

/** What file systems without O_DIRECT say, and what wrong alignment is told. */
function isRefusal(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === 'EINVAL' || code === 'ENOTSUP' || code === 'EOPNOTSUPP';
}
