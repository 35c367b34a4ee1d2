/**
 * The manifest as a file that one archiver appends to.
 *
 * Invariants:
 * 1. `records` holds only what is on the disk: a record enters after the sync that covers it.
 * 2. [0, #length) are whole lines; what a crash or a failed write left beyond is cut before the next append.
 * 3. After a failed sync the file is not trusted again: the next append writes it anew beside the old one
 *    and renames it, because a page whose sync failed may count as clean and never be written.
 * 4. Appends are one at a time, in the order they were asked for.
 */
import { join } from 'node:path';
import type { FileSystem } from './file-system.ts';
import { readWholeFile, writeFully } from './file-system.ts';
import type { ManifestRecord } from './manifest.ts';
import { encodeManifestRecord, parseManifest } from './manifest.ts';
import { JOURNAL_FOLDER, MANIFEST_FILE } from './segment-name.ts';

/** In the journal folder; becomes the manifest by a rename. */
export const MANIFEST_DRAFT = `${MANIFEST_FILE}.tmp`;

/** Below this many lines the garbage is not worth a rewrite. */
const COMPACT_FROM_LINES = 256;
/** Deleted segments still named after a compaction: they explain the gaps below the oldest one kept. */
const KEEP_DELETED = 1000;

export class ManifestFile {
  readonly #fileSystem: FileSystem;
  readonly #journalFolder: string;
  readonly #path: string;
  readonly #records: Map<number, ManifestRecord>;
  /** Line numbers that could not be read at open. */
  readonly damagedLines: readonly number[];
  #fd: number;
  #length: number;
  #lineCount: number;
  #hasExcess: boolean;
  #mustRewrite = false;
  #tail: Promise<void> = Promise.resolve();

  static async open(fileSystem: FileSystem, folder: string): Promise<ManifestFile> {
    const journalFolder = join(folder, JOURNAL_FOLDER);
    const path = join(journalFolder, MANIFEST_FILE);
    await fileSystem.makeFolder(journalFolder, true);
    const content = await readWholeFile(fileSystem, path);
    const fd = await fileSystem.open(path, 'write');
    try {
      if (content === undefined) await fileSystem.syncFolder(journalFolder);
    } catch (error) {
      await fileSystem.close(fd);
      throw error;
    }
    return new ManifestFile(fileSystem, journalFolder, path, fd, content ?? new Uint8Array());
  }

  private constructor(
    fileSystem: FileSystem,
    journalFolder: string,
    path: string,
    fd: number,
    content: Uint8Array,
  ) {
    this.#fileSystem = fileSystem;
    this.#journalFolder = journalFolder;
    this.#path = path;
    this.#fd = fd;
    const manifest = parseManifest(content);
    this.#records = new Map(manifest.records);
    this.#length = manifest.wholeBytes;
    this.#lineCount = manifest.lineCount;
    this.#hasExcess = content.length > manifest.wholeBytes;
    this.damagedLines = manifest.damagedLines;
  }

  /** The last record of each segment, in no order that could be relied on. */
  get records(): ReadonlyMap<number, ManifestRecord> {
    return this.#records;
  }

  /** Resolves once the records are on the disk; one sync for all of them. */
  append(records: readonly ManifestRecord[]): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#mustRewrite || (await this.#isReplaced())) await this.#rewrite(records);
      else await this.#appendNow(records);
    });
  }

  /** Rewrites the file without superseded records when they are the most of it. True when it did. */
  compactWhenWorthIt(): Promise<boolean> {
    return this.#inTurn(async () => {
      const kept = this.#kept([]);
      if (this.#lineCount < COMPACT_FROM_LINES || this.#lineCount < kept.length * 2) return false;
      await this.#rewrite([]);
      return true;
    });
  }

  /**
   * What an earlier process left may be in the page cache only, and a sync of it that failed then is not tried again
   * by the kernel: written anew, it is on the disk. Where there is no room for that, or lines that cannot be read would
   * be lost by it, a sync has to do. Throws when that fails as well; then nothing may be done that relies on the records.
   */
  makeDurable(): Promise<true> {
    return this.#inTurn(async (): Promise<true> => {
      if (this.#length === 0) return true;
      if (this.damagedLines.length === 0) {
        try {
          await this.#rewrite([]);
          return true;
        } catch {
          // The next best.
        }
      }
      // Until it has succeeded: after a failed one the next may succeed without having written anything.
      this.#mustRewrite = true;
      await this.#fileSystem.sync(this.#fd);
      this.#mustRewrite = false;
      return true;
    });
  }

  /** Writes it anew, without the lines that could not be read. */
  dropDamagedLines(): Promise<void> {
    return this.#inTurn(() => this.#rewrite([]));
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#fileSystem.close(this.#fd));
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(action);
    this.#tail = result.then(
      () => {},
      () => {},
    );
    return result;
  }

  /** Somebody removed or replaced the file (or its folder): appending to the old one would go nowhere. */
  async #isReplaced(): Promise<boolean> {
    const named = await this.#fileSystem.stat(this.#path);
    // A missing folder is not made anew here (its volume may be away): the rewrite fails until it is back.
    if (named === undefined) return true;
    const ours = await this.#fileSystem.status(this.#fd);
    return named.inode !== ours.inode || named.device !== ours.device;
  }

  async #appendNow(records: readonly ManifestRecord[]): Promise<void> {
    const bytes = Buffer.from(records.map(encodeManifestRecord).join(''));
    if (this.#hasExcess) await this.#fileSystem.truncate(this.#fd, this.#length);
    this.#hasExcess = true;
    await writeFully(this.#fileSystem, this.#fd, bytes, this.#length);
    try {
      await this.#fileSystem.syncData(this.#fd);
    } catch (error) {
      this.#mustRewrite = true;
      throw error;
    }
    this.#hasExcess = false;
    this.#length += bytes.length;
    this.#lineCount += records.length;
    for (const record of records) this.#records.set(record.segment, record);
  }

  async #rewrite(added: readonly ManifestRecord[]): Promise<void> {
    const kept = this.#kept(added);
    const bytes = Buffer.from(kept.map(encodeManifestRecord).join(''));
    const draft = join(this.#journalFolder, MANIFEST_DRAFT);
    const fd = await this.#fileSystem.open(draft, 'replace');
    try {
      await writeFully(this.#fileSystem, fd, bytes, 0);
      await this.#fileSystem.sync(fd);
      await this.#fileSystem.rename(draft, this.#path);
    } catch (error) {
      await this.#fileSystem.close(fd).catch(() => {});
      throw error;
    }
    const old = this.#fd;
    this.#fd = fd;
    this.#length = bytes.length;
    this.#lineCount = kept.length;
    this.#hasExcess = false;
    await this.#fileSystem.close(old).catch(() => {});
    this.#mustRewrite = true; // until the new name itself is on the disk
    await this.#fileSystem.syncFolder(this.#journalFolder);
    this.#mustRewrite = false;
    // Not before: whoever is told that it failed brings it again, and meanwhile nobody may act on it.
    this.#records.clear();
    for (const record of kept) this.#records.set(record.segment, record);
  }

  /** What a rewrite keeps: all but the deleted ones far below the oldest segment that is still there. */
  #kept(added: readonly ManifestRecord[]): ManifestRecord[] {
    const latest = new Map(this.#records);
    for (const record of added) latest.set(record.segment, record);
    const all = [...latest.values()].sort((a, b) => a.segment - b.segment);
    const oldestClosed = all.findIndex((record) => record.state === 'closed');
    // The highest number is among the kept in any case, so numbers are never used twice.
    const from = Math.max(0, (oldestClosed === -1 ? all.length : oldestClosed) - KEEP_DELETED);
    return all.slice(from);
  }
}
