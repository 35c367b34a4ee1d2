/**
 * Where the bytes of one segment go: through the page cache, or around it (O_DIRECT) where that is cheaper.
 *
 * A group of 64 KiB and more is worth going around: no page has to be found, filled and cleaned for it,
 * which on virtual machines is most of what a written byte costs (docs/decisions/0123). Only whole blocks at block
 * boundaries can; what comes before the first boundary and after the last one goes through the page cache:
 *
 *   file   ───────────────┤ 4 KiB │ 4 KiB │ ... │ 4 KiB ├──
 *   group      [ cached   │ direct, in runs of a MiB    │ cached ]
 *
 * Invariants:
 * 1. Bytes are written in order, so after a fault what is in the file is a front part of what was given.
 * 2. No byte is ever written twice, nor is a block that holds earlier bytes written directly: what was acknowledged
 *    is not touched again.
 * 3. `write` returns only after the file system took the bytes: every reader of the file sees them, whichever way
 *    they went.
 * 4. `onCopied` gets every byte that is in the file afterwards, in order and never of two parts at a time, right behind the
 *    first copy that is made of it: then it is in the processor's cache, which saves a third of what checksums cost
 *    (docs/decisions/0123). Bytes whose write falls short it gets again.
 * 5. Without O_DIRECT (a file system that refuses it, no descriptor left) all of it goes through the page cache.
 */
import { type DirectWrites, type OnCopied, skipBytes, type WriteReport } from './direct-writes.ts';
import type { FileSystem } from './file-system.ts';
import { wroteNothing } from './file-system.ts';
import { DIRECT_BLOCK_BYTES, RUN_BYTES } from './run-writer.ts';

export class SegmentOutput {
  readonly #fileSystem: FileSystem;
  readonly #path: string;
  readonly #fd: number;
  readonly #direct: DirectWrites | undefined;
  /** Undefined until it is needed; -1 when it cannot be had. */
  #directFd: number | undefined;

  /** `fd` stays the caller's. */
  constructor(fileSystem: FileSystem, path: string, fd: number, direct: DirectWrites | undefined) {
    this.#fileSystem = fileSystem;
    this.#path = path;
    this.#fd = fd;
    this.#direct = direct;
  }

  /** `parts` have `totalBytes` together and go to `position`, the end of the file. Never throws. */
  write(parts: readonly Uint8Array[], totalBytes: number, position: number, onCopied: OnCopied): WriteReport {
    const direct = this.#direct;
    if (direct?.prefers(totalBytes) !== true || this.#openDirect(direct) === -1) {
      return this.#writeCached(parts, totalBytes, position, onCopied);
    }
    const startedMs = direct.nowMs();
    const report = this.#writeAround(direct, parts, totalBytes, position, onCopied);
    direct.measured(totalBytes, direct.nowMs() - startedMs);
    return report;
  }

  /** Closes what it opened. No write is under way. */
  async close(): Promise<void> {
    const fd = this.#directFd;
    this.#directFd = -1;
    if (fd !== undefined && fd !== -1) await this.#fileSystem.close(fd);
  }

  #writeCached(
    given: readonly Uint8Array[],
    totalBytes: number,
    position: number,
    onCopied: OnCopied,
  ): WriteReport {
    let parts = given;
    let written = 0;
    try {
      for (;;) {
        const isLong = totalBytes - written > RUN_BYTES;
        const run = isLong ? takeBytes(parts, RUN_BYTES) : parts;
        const at = position + written;
        const count = this.#fileSystem.writevSync(this.#fd, run, at);
        if (count <= 0) throw wroteNothing();
        written += count;
        handOn(parts, count, at, onCopied);
        parts = skipBytes(parts, count);
        if (written >= totalBytes) return { written, error: undefined };
      }
    } catch (error) {
      return { written, error };
    }
  }

  #writeAround(
    direct: DirectWrites,
    given: readonly Uint8Array[],
    totalBytes: number,
    position: number,
    onCopied: OnCopied,
  ): WriteReport {
    let parts = given;
    let written = 0;
    try {
      while (written < totalBytes) {
        const at = position + written;
        const left = totalBytes - written;
        const beforeBoundary = (DIRECT_BLOCK_BYTES - (at % DIRECT_BLOCK_BYTES)) % DIRECT_BLOCK_BYTES;
        let count: number;
        if (direct.isRefused || beforeBoundary > 0 || left < DIRECT_BLOCK_BYTES) {
          const bytes = direct.isRefused || beforeBoundary === 0 ? left : Math.min(left, beforeBoundary);
          count = this.#fileSystem.writevSync(this.#fd, takeBytes(parts, bytes), at);
          if (count <= 0) throw wroteNothing();
          handOn(parts, count, at, onCopied);
        } else {
          const report = direct.write(this.#directFd!, parts, left, at, onCopied);
          count = report.written;
          // Short, or refused after all: it goes on with the rest.
          if (report.error !== undefined) return { written: written + count, error: report.error };
        }
        written += count;
        parts = skipBytes(parts, count);
      }
      return { written, error: undefined };
    } catch (error) {
      return { written, error };
    }
  }

  /** A second descriptor of the same file; -1 when there is none to be had. */
  #openDirect(direct: DirectWrites): number {
    if (this.#directFd !== undefined) return this.#directFd;
    this.#directFd = -1;
    let fd: number;
    try {
      fd = this.#fileSystem.openSync(this.#path, 'direct');
    } catch (error) {
      direct.notOpened(error);
      return -1;
    }
    try {
      // Somebody may have moved the segment away and put another file in its place.
      const own = this.#fileSystem.statusSync(this.#fd);
      const opened = this.#fileSystem.statusSync(fd);
      if (own.inode === opened.inode && own.device === opened.device) this.#directFd = fd;
    } catch {
      // Not known: leave it.
    }
    if (this.#directFd === -1) {
      try {
        this.#fileSystem.closeSync(fd);
      } catch {
        // It is given up in any case.
      }
    }
    return this.#directFd;
  }
}

function handOn(parts: readonly Uint8Array[], count: number, position: number, onCopied: OnCopied): void {
  let at = position;
  for (const part of takeBytes(parts, count)) {
    onCopied(part, at);
    at += part.length;
  }
}

/** The first `count` bytes. */
function takeBytes(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  const taken: Uint8Array[] = [];
  let rest = count;
  for (const part of parts) {
    if (rest <= 0) break;
    taken.push(part.length <= rest ? part : part.subarray(0, rest));
    rest -= part.length;
  }
  return taken;
}
