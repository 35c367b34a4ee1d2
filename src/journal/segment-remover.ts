/**
 * Removes segments, and files that a record has made superfluous.
 *
 * Invariants:
 * 1. A segment's record says "deleted", on the disk, before any of its data is unlinked.
 * 2. What cannot be unlinked is remembered and tried again; after a restart the manifest tells it anew.
 * 3. No segment goes that a restart has to read to know which numbers its producers have used: they would be asked
 *    again for what was acknowledged. It goes when a checkpoint knows its lines, which is one or two segments later; and that
 *    checkpoint stays, without the segment that it was written for too, until there is a newer one.
 */
import { join } from 'node:path';
import { systemErrorCode } from '../base/errors.ts';
import { sidecarPath } from './archive-recovery.ts';
import type { FileSystem } from './file-system.ts';
import type { ManifestRecord } from './manifest.ts';
import type { ManifestFile } from './manifest-file.ts';
import { checkpointFiles, makeDurable, newestCheckpoint } from './producers/newest-checkpoint.ts';
import { COMPRESSIONS, JOURNAL_FOLDER, parseSegmentFile, segmentFile } from './segment-name.ts';

export class SegmentRemover {
  readonly #fileSystem: FileSystem;
  readonly #folder: string;
  readonly #manifest: ManifestFile;
  readonly #onFault: (file: string, error: unknown) => void;
  readonly #leftovers = new Set<string>();
  #deletedSegments = 0;
  #deletedFileBytes = 0;

  constructor(
    fileSystem: FileSystem,
    folder: string,
    manifest: ManifestFile,
    onFault: (file: string, error: unknown) => void,
  ) {
    this.#fileSystem = fileSystem;
    this.#folder = folder;
    this.#manifest = manifest;
    this.#onFault = onFault;
  }

  /** Since the start. */
  get deletedSegments(): number {
    return this.#deletedSegments;
  }
  get deletedFileBytes(): number {
    return this.#deletedFileBytes;
  }

  /**
   * Returns the new records: of all that were given and may go, or on a full disk of the first. `isSpaceLow`: room
   * comes before the numbers of producers, since without room there are no readings either.
   */
  async deleteSegments(
    wanted: readonly ManifestRecord[],
    isSpaceLow: boolean,
  ): Promise<readonly ManifestRecord[]> {
    if (wanted.length === 0) return [];
    const journalFolder = join(this.#folder, JOURNAL_FOLDER);
    const checkpoints = await checkpointFiles(this.#fileSystem, journalFolder);
    const newest = await newestCheckpoint(this.#fileSystem, checkpoints);
    // Without any it would be everything; the next segment brings one.
    const needed = isSpaceLow ? Number.POSITIVE_INFINITY : (newest?.checkpoint.scanFrom ?? 0);
    const doomed = wanted.filter(({ segment }) => segment < needed);
    if (doomed.length === 0) return [];
    // What it knows stays known whatever happens, and needs what is doomed no more.
    if (newest !== undefined && !isSpaceLow) await makeDurable(this.#fileSystem, journalFolder, newest);
    let deleted = doomed.map((record): ManifestRecord => ({ ...record, state: 'deleted' }));
    try {
      await this.#manifest.append(deleted);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOSPC') throw error;
      // A full disk must not keep retention from making room. The sidecar is the one thing of a doomed
      // segment that may go before the record: the readings stay whole and counted without it.
      deleted = deleted.slice(0, 1);
      await this.unlinkSuperfluous(sidecarPath(this.#folder, deleted[0]!.file));
      await this.#manifest.append(deleted);
    }
    for (const record of deleted) {
      // All forms, because a compression that failed between rename and record may have left its copy.
      const { base } = parseSegmentFile(record.file)!;
      for (const compression of COMPRESSIONS) {
        await this.unlinkSuperfluous(join(this.#folder, segmentFile(base, compression)));
      }
      await this.unlinkSuperfluous(sidecarPath(this.#folder, record.file));
      this.#deletedSegments++;
      this.#deletedFileBytes += record.fileBytes;
    }
    const last = deleted.at(-1)!.segment;
    for (const { path, number } of checkpoints) {
      if (number <= last && path !== newest?.path) await this.unlinkSuperfluous(path);
    }
    return deleted;
  }

  /** Never throws; a missing file is as good as a removed one. */
  async unlinkSuperfluous(path: string): Promise<void> {
    try {
      await this.#fileSystem.unlink(path);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') {
        if (!this.#leftovers.has(path)) this.#onFault(path, error);
        this.#leftovers.add(path);
        return;
      }
    }
    this.#leftovers.delete(path);
  }

  async unlinkLeftovers(): Promise<void> {
    for (const path of [...this.#leftovers]) await this.unlinkSuperfluous(path);
  }
}
