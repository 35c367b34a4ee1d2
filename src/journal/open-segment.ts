/**
 * The segment that takes lines: a data file and its sidecar, both open, and how far each can be trusted.
 *
 * Invariants, whenever `append` is not at work:
 * 1. `bytes` is a boundary between two batches; everything before it was accepted by the file system.
 *    The file is longer only after a failed write whose cut failed too, and then it is closed like that.
 * 2. A batch counts (bytes, lines, times, checksum) only once it is wholly written, so after any fault
 *    the counters describe exactly [0, bytes).
 * 3. `durable` is the mark that the last successful sync covers; durable.bytes <= bytes.
 * 4. Whoever syncs a segment settles that sync before calling `finish`: a descriptor that is closed while
 *    the thread pool works on it may by then be another file.
 * 5. `#hash` is that of [0, bytes), or undefined once that is not known any more; then the archiver reads the file.
 */
import { createHash, type Hash } from 'node:crypto';
import { join } from 'node:path';
import type { DirectWrites } from './direct-writes.ts';
import type { FileSystem } from './file-system.ts';
import type { ClosedSegment } from './manifest.ts';
import { OpenSidecar, type SidecarMark } from './open-sidecar.ts';
import { blocksFile, formatSegmentBase, segmentFile } from './segment-name.ts';
import { SegmentOutput } from './segment-output.ts';

export interface AppendBatch {
  /** Whole lines, the last one ended by its newline. Not to be changed until the batch is done. */
  readonly bytes: Uint8Array;
  readonly lines: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
  /** zlib's CRC-32 of the bytes, if whoever made the batch has taken it: then the batch is a block of its own. */
  readonly crc32?: number | undefined;
}

export interface SegmentFolders {
  /** Holds the data files. */
  readonly folder: string;
  /** Holds the sidecars. */
  readonly journalFolder: string;
}

export interface SegmentStart {
  readonly number: number;
  readonly startedAtMs: number;
  readonly startedMonotonicMs: number;
}

/** A batch boundary that the segment can be taken back to. */
interface Mark {
  readonly bytes: number;
  readonly lines: number;
  readonly firstReceivedAtMs: number | null;
  readonly lastReceivedAtMs: number | null;
  readonly sidecar: SidecarMark;
}

export interface AppendReport {
  /** Batches from the front that are wholly in the file. */
  readonly kept: number;
  /** Why the rest is not. */
  readonly error: unknown;
  /** False: the file could not be cut back to `bytes` and must take no more. */
  readonly usable: boolean;
  /** The file has no name left: nothing in it will ever be read. None of the batches is kept. */
  readonly removed: boolean;
}

export interface FinishReport {
  /** Undefined when nothing of it remains in the folder: it was empty, or somebody removed it or moved it away. */
  readonly closed: ClosedSegment | undefined;
  readonly faults: readonly { readonly operation: string; readonly error: unknown }[];
}

const START_MARK: Mark = {
  bytes: 0,
  lines: 0,
  firstReceivedAtMs: null,
  lastReceivedAtMs: null,
  sidecar: { blockOffset: 0, blockLines: 0, blockCrc32: 0, sidecarBytes: 0 },
};

export class OpenSegment implements SegmentStart {
  readonly number: number;
  readonly file: string;
  readonly path: string;
  readonly startedAtMs: number;
  readonly startedMonotonicMs: number;
  readonly #fileSystem: FileSystem;
  readonly #folders: SegmentFolders;
  readonly #sidecarPath: string;
  readonly #fd: number;
  readonly #sidecar: OpenSidecar;
  readonly #output: SegmentOutput;

  #hash: Hash | undefined = createHash('sha256');
  #bytes = 0;
  #lines = 0;
  #firstReceivedAtMs: number | null = null;
  #lastReceivedAtMs: number | null = null;
  #durable: Mark = START_MARK;
  #nameDurable = false;
  /** What was cut off and no sync has covered is there again after a power cut: the file might be another. */
  #cuts = 0;
  #syncedCuts = 0;
  /** The file could not be cut back to `bytes`. */
  #isLonger = false;

  private constructor(
    fileSystem: FileSystem,
    folders: SegmentFolders,
    start: SegmentStart,
    base: string,
    fd: number,
    sidecarFd: number,
    direct: DirectWrites | undefined,
  ) {
    this.#fileSystem = fileSystem;
    this.#folders = folders;
    this.number = start.number;
    this.startedAtMs = start.startedAtMs;
    this.startedMonotonicMs = start.startedMonotonicMs;
    this.file = segmentFile(base);
    this.path = join(folders.folder, this.file);
    this.#sidecarPath = join(folders.journalFolder, blocksFile(base));
    this.#fd = fd;
    this.#sidecar = new OpenSidecar(fileSystem, sidecarFd);
    this.#output = new SegmentOutput(fileSystem, this.path, fd, direct);
  }

  /**
   * Creates the sidecar, then the data file; throws the file system's error, and then no data file was made.
   * `direct`: large groups may go around the page cache.
   */
  static begin(
    fileSystem: FileSystem,
    folders: SegmentFolders,
    start: SegmentStart,
    direct?: DirectWrites,
  ): OpenSegment {
    const base = formatSegmentBase(start.startedAtMs, start.number);
    const sidecarPath = join(folders.journalFolder, blocksFile(base));
    // In this order a failure leaves at most an orphaned sidecar, which the next of its name replaces;
    // an orphaned data file would look like a segment.
    const sidecarFd = fileSystem.openSync(sidecarPath, 'replace');
    try {
      const fd = fileSystem.openSync(join(folders.folder, segmentFile(base)), 'create');
      return new OpenSegment(fileSystem, folders, start, base, fd, sidecarFd, direct);
    } catch (error) {
      try {
        fileSystem.closeSync(sidecarFd);
        fileSystem.unlinkSync(sidecarPath);
      } catch {
        // The first error is the one to tell.
      }
      throw error;
    }
  }

  get bytes(): number {
    return this.#bytes;
  }
  get lines(): number {
    return this.#lines;
  }
  get unsyncedBytes(): number {
    return this.#bytes - this.#durable.bytes;
  }

  /** No power cut brings back what was cut off. */
  get isEndSure(): boolean {
    return this.#syncedCuts === this.#cuts && !this.#isLonger;
  }

  /** All in one go; see AppendReport for what became of them. Never throws. */
  append(batches: readonly AppendBatch[]): AppendReport {
    const before = this.#mark();
    let totalBytes = 0;
    for (const batch of batches) totalBytes += batch.bytes.length;
    let summedTo = before.bytes;
    let index = 0;
    let batchEnd = before.bytes + batches[0]!.bytes.length;
    const onCopied = (copied: Uint8Array, position: number): void => {
      const known = summedTo - position;
      if (known >= copied.length) return;
      const bytes = known > 0 ? copied.subarray(known) : copied;
      this.#hash?.update(bytes);
      if (batches[index]!.crc32 === undefined) this.#sidecar.add(bytes);
      summedTo += bytes.length;
      if (summedTo < batchEnd) return;
      this.#count(batches[index]!);
      index++;
      batchEnd += batches[index]?.bytes.length ?? 0;
    };
    const parts = batches.map((batch) => batch.bytes);
    let { written, error } = this.#output.write(parts, totalBytes, before.bytes, onCopied);
    let removed = false;
    try {
      removed = this.#fileSystem.statusSync(this.#fd).linkCount === 0;
    } catch (caught) {
      // Not known whether anybody will ever read the file (a network file system says ESTALE): keep nothing.
      error ??= caught;
      written = 0;
    }
    if (removed) written = 0;
    let kept = index;
    if (removed || error !== undefined) {
      if (summedTo !== before.bytes) this.#hash = undefined;
      this.#restore(before);
      kept = this.#countWhole(batches, written);
    }
    if (removed) return { kept, error, usable: false, removed };
    const usable = error === undefined || this.#cutBack();
    this.#sidecar.write();
    return { kept, error, usable, removed };
  }

  /** Whether its path still leads to the open file. Throws when the file system cannot say. */
  isNamed(): boolean {
    const named = this.#fileSystem.statSync(this.path);
    if (named === undefined) return false;
    const own = this.#fileSystem.statusSync(this.#fd);
    return named.inode === own.inode && named.device === own.device;
  }

  /** Ends the running block, so that the sidecar reaches `bytes`. */
  endBlock(): void {
    this.#sidecar.endBlock(this.#bytes);
    this.#sidecar.write();
  }

  /**
   * Makes durable what is written by now; resolves to the bytes newly covered. On failure nothing about
   * `durable` changes, and by then nobody knows which of the later bytes the disk has.
   * `mustBeLinked`: syncing a file that was removed meanwhile is a failure.
   */
  async sync(mustBeLinked: boolean): Promise<number> {
    const mark = this.#mark();
    const cuts = this.#cuts;
    await this.#fileSystem.syncData(this.#fd);
    this.#syncedCuts = cuts;
    if (!this.#nameDurable) {
      await this.#fileSystem.syncFolder(this.#folders.folder);
      this.#nameDurable = true;
    }
    if (mustBeLinked && this.#fileSystem.statusSync(this.#fd).linkCount === 0) {
      throw Object.assign(new Error('the segment file was removed'), { code: 'SEGMENT_REMOVED' });
    }
    const covered = mark.bytes - this.#durable.bytes;
    this.#durable = mark;
    return covered;
  }

  /** Takes back everything after the last successful sync. A file that cannot be cut stays longer than `bytes`. */
  revertToDurable(): void {
    this.#restore(this.#durable);
    this.#cutBack();
  }

  /** Makes the end sure. Cuts again: what a failed sync has made of the first cut nobody knows. Throws the file system's error. */
  async settleEnd(): Promise<void> {
    await this.#fileSystem.truncate(this.#fd, this.#bytes);
    this.#isLonger = false;
    await this.#syncEnd();
  }

  /** Closes both files and makes their names durable. The data was synced before, or is suspect. Never throws. */
  async finish(closedAtMs: number, suspect: boolean): Promise<FinishReport> {
    const faults: { operation: string; error: unknown }[] = [];
    const attempt = async (operation: string, action: () => Promise<void>): Promise<boolean> => {
      try {
        await action();
        return true;
      } catch (error) {
        faults.push({ operation, error });
        return false;
      }
    };
    this.#sidecar.endBlock(this.#bytes);
    await attempt('write the sidecar', () => this.#sidecar.finish());
    let fileBytes = this.#bytes;
    let named = true;
    await attempt('check the segment', async () => {
      named = this.isNamed();
      fileBytes = (await this.#fileSystem.status(this.#fd)).sizeBytes;
    });
    if (fileBytes > this.#bytes && this.#cutBack()) fileBytes = this.#bytes;
    // The file must stay the one that is recorded.
    if (this.#syncedCuts !== this.#cuts) await attempt('sync the end', () => this.#syncEnd());
    await attempt('close the segment', () => this.#output.close());
    await attempt('close the segment', () => this.#fileSystem.close(this.#fd));
    await attempt('close the sidecar', () => this.#sidecar.close());
    // Removed or moved away: whatever has that name now is not ours to touch.
    if (!named) return { closed: undefined, faults };
    if (this.#bytes === 0 && fileBytes === 0) {
      await attempt('remove the empty segment', () => this.#fileSystem.unlink(this.path));
      await attempt('remove the empty sidecar', () => this.#fileSystem.unlink(this.#sidecarPath));
      return { closed: undefined, faults };
    }
    const namesDurable =
      (await attempt('sync the folder', () => this.#fileSystem.syncFolder(this.#folders.folder))) &&
      (await attempt('sync the folder', () => this.#fileSystem.syncFolder(this.#folders.journalFolder)));
    const closed: ClosedSegment = {
      number: this.number,
      file: this.file,
      startedAtMs: this.startedAtMs,
      // A wall clock that went back must not make a segment end before it began.
      closedAtMs: Math.max(this.startedAtMs, closedAtMs),
      lines: this.#lines,
      bytes: this.#bytes,
      fileBytes,
      firstReceivedAtMs: this.#firstReceivedAtMs,
      lastReceivedAtMs: this.#lastReceivedAtMs,
      suspect: suspect || !namesDurable || this.#syncedCuts !== this.#cuts,
    };
    // Of what we meant to write. Where that and the file may differ, the file is read for it.
    const isAsMeant = !closed.suspect && fileBytes === this.#bytes;
    if (this.#hash !== undefined && isAsMeant) {
      return { closed: { ...closed, sha256: this.#hash.digest('hex') }, faults };
    }
    return { closed, faults };
  }

  /** Those that the first `written` bytes hold all of; how many. */
  #countWhole(batches: readonly AppendBatch[], written: number): number {
    let left = written;
    let kept = 0;
    for (const batch of batches) {
      if (batch.bytes.length > left) break;
      left -= batch.bytes.length;
      if (batch.crc32 === undefined) this.#sidecar.add(batch.bytes);
      this.#count(batch);
      kept++;
    }
    return kept;
  }

  /** A batch that was summed up. */
  #count(batch: AppendBatch): void {
    const begin = this.#bytes;
    this.#bytes += batch.bytes.length;
    this.#lines += batch.lines;
    this.#firstReceivedAtMs ??= batch.firstReceivedAtMs;
    this.#lastReceivedAtMs = batch.lastReceivedAtMs;
    if (batch.crc32 === undefined) this.#sidecar.endBatch(this.#bytes, batch.lines);
    else this.#sidecar.addBlock(begin, this.#bytes, batch.lines, batch.crc32);
  }

  /** True when the file ends at `bytes` afterwards. */
  #cutBack(): boolean {
    try {
      // Asking first spares a segment on a disk turned read-only, where nothing was written and no cut works.
      this.#isLonger = this.#fileSystem.statusSync(this.#fd).sizeBytes > this.#bytes;
      if (!this.#isLonger) return true;
    } catch {
      // Not known: cut.
    }
    try {
      this.#cuts++;
      this.#fileSystem.truncateSync(this.#fd, this.#bytes);
      this.#isLonger = false;
      return true;
    } catch {
      this.#isLonger = true;
      return false;
    }
  }

  async #syncEnd(): Promise<void> {
    const cuts = this.#cuts;
    await this.#fileSystem.sync(this.#fd);
    this.#syncedCuts = cuts;
  }

  #mark(): Mark {
    return {
      bytes: this.#bytes,
      lines: this.#lines,
      firstReceivedAtMs: this.#firstReceivedAtMs,
      lastReceivedAtMs: this.#lastReceivedAtMs,
      sidecar: this.#sidecar.mark(),
    };
  }

  /** What is in the file stays there. */
  #restore(mark: Mark): void {
    if (mark.bytes !== this.#bytes) this.#hash = undefined;
    this.#bytes = mark.bytes;
    this.#lines = mark.lines;
    this.#firstReceivedAtMs = mark.firstReceivedAtMs;
    this.#lastReceivedAtMs = mark.lastReceivedAtMs;
    this.#sidecar.restore(mark.sidecar);
  }
}
