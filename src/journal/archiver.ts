/**
 * Keeps the closed segments: records them in the manifest, with the hash that the writer made or one of its own,
 * compresses them, removes them when their time has come, and watches the free space. It lives in a worker thread but
 * knows nothing of threads. One archiver per folder, opened by whoever holds the folder lock.
 *
 *                      hash lane                 compress lane
 *   closed(segment) ──▶ sha256 ──▶ record ──┬──▶ copy in .journal, sync ──▶ rename, record, unlink plain
 *                                           └──▶ retention: record 'deleted', unlink
 *
 * Invariants:
 * 1. Nothing is unlinked before the record that makes it superfluous is on the disk. So at every moment
 *    each segment is exactly one file for whoever goes by the manifest.
 * 2. The hash lane never waits for a compression: a closed segment is in the manifest as soon as can be.
 * 3. `#committing` is held from the first rename or record of a change to its last unlink, so compression
 *    and retention never change one segment at once.
 * 4. A step that fails is tried again at the next tick, and every step can be repeated from the start.
 * 5. What has a record is on the disk: a segment whose sync failed is written again first, until that works.
 */
import { join } from 'node:path';
import type { Clock, Timer } from '../base/clock.ts';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';
import { describeCompressed, finishInterrupted } from './archive-recovery.ts';
import type { ArchiverEvents, ArchiverFault, ArchiverStats } from './archiver-events.ts';
import { DamageError, draftCompressed, hashOf } from './compress.ts';
import type { JournalConfig } from './config.ts';
import type { FileSystem } from './file-system.ts';
import { Lane } from './lane.ts';
import { removeAbandonedCopies } from './linked-copy.ts';
import type { ClosedSegment, ManifestRecord } from './manifest.ts';
import { ManifestFile } from './manifest-file.ts';
import { segmentsToDelete } from './retention.ts';
import type { SegmentName } from './segment-name.ts';
import { JOURNAL_FOLDER, MANIFEST_FILE } from './segment-name.ts';
import { SegmentRemover } from './segment-remover.ts';
import { completeSidecar } from './sidecar-file.ts';
import { writeAgainDurably } from './write-again.ts';

export type * from './archiver-events.ts';

export type ArchiverOptions = Pick<
  JournalConfig,
  'filePath' | 'compress' | 'retainFiles' | 'retainBytes' | 'retainAgeMs' | 'lowSpaceBytes'
>;

export interface ArchiverDeps {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly events: ArchiverEvents;
}

/** How often age, free space and failed steps are looked at again. */
const TICK_MS = 10_000;

/** Throws SinkError JOURNAL_UNREADABLE. */
export async function openArchiver(options: ArchiverOptions, deps: ArchiverDeps): Promise<SegmentArchiver> {
  let manifest: ManifestFile | undefined;
  try {
    manifest = await ManifestFile.open(deps.fileSystem, options.filePath);
    const archiver = new SegmentArchiver(options, deps, manifest);
    await archiver.begin();
    return archiver;
  } catch (error) {
    await manifest?.close().catch(() => {});
    const reason = `FILE_PATH ${options.filePath}: its manifest or list of files: ${errorMessage(error)}`;
    throw new SinkError('JOURNAL_UNREADABLE', reason, { cause: error });
  }
}

export class SegmentArchiver {
  readonly #folder: string;
  readonly #options: ArchiverOptions;
  readonly #fileSystem: FileSystem;
  readonly #clock: Clock;
  readonly #events: ArchiverEvents;
  readonly #manifest: ManifestFile;
  readonly #remover: SegmentRemover;
  readonly #abandonCompression = new AbortController();
  readonly #abandonHashes = new AbortController();

  readonly #hashLane = new Lane(() => this.#hashAll());
  readonly #compressLane = new Lane(() => this.#compressAll());
  readonly #retentionLane = new Lane(() => this.#retain());
  readonly #adoptLane = new Lane(() => this.#adoptAll());

  readonly #toHash: ClosedSegment[] = [];
  readonly #toCompress: number[] = [];
  #toAdopt: SegmentName[] = [];
  #committing: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #isClosing = false;
  #isSpaceLow = false;
  #freeBytes: number | undefined;

  /** Use openArchiver. */
  constructor(options: ArchiverOptions, deps: ArchiverDeps, manifest: ManifestFile) {
    this.#folder = options.filePath;
    this.#options = options;
    this.#fileSystem = deps.fileSystem;
    this.#clock = deps.clock;
    this.#events = deps.events;
    this.#manifest = manifest;
    this.#remover = new SegmentRemover(deps.fileSystem, this.#folder, manifest, (file, error) =>
      this.#fault('retain', file, error, true),
    );
  }

  /** Finishes what a crash left, then starts on what is due. Called once, by openArchiver. */
  async begin(): Promise<void> {
    if (this.#manifest.damagedLines.length > 0) {
      const lines = this.#manifest.damagedLines.join(', ');
      this.#fault('recover', MANIFEST_FILE, new DamageError(`skipped unreadable lines ${lines}`), false);
    }
    const onFault = (file: string, error: unknown): void => this.#fault('recover', file, error, false);
    const isDurable = await this.#manifest.makeDurable().catch((error) => onFault(MANIFEST_FILE, error));
    // Otherwise what is half done stays so until the next start.
    if (isDurable === true) {
      this.#toAdopt = await finishInterrupted(this.#fileSystem, this.#folder, this.#manifest, onFault);
    }
    await removeAbandonedCopies(this.#folder).catch((error) => onFault(this.#folder, error));
    await this.#manifest.compactWhenWorthIt().catch((error) => onFault(this.#folder, error));
    this.#queueUncompressed();
    if (this.#toAdopt.length > 0) this.#adoptLane.ask();
    this.#tick();
  }

  /** Takes over a segment the writer has closed. One that is in the manifest already is nothing new. */
  closed(segment: ClosedSegment): void {
    const isKnown = this.#manifest.records.has(segment.number);
    if (isKnown || this.#toHash.some((queued) => queued.number === segment.number)) return;
    this.#toHash.push(segment);
    this.#hashLane.ask();
  }

  /** Resolves when nothing is under way: the queues are empty, or wait for the next tick after a fault. */
  async idle(): Promise<void> {
    for (;;) {
      const running =
        this.#hashLane.running ??
        this.#compressLane.running ??
        this.#retentionLane.running ??
        this.#adoptLane.running;
      if (running === undefined) return;
      await running;
    }
  }

  /**
   * Ends it. With `finishHashes` the segments handed over until now get their records first; without, the
   * next start finds them again. A running compression is given up in either case and redone at next start.
   */
  async close(how: { readonly finishHashes: boolean }): Promise<void> {
    this.#isClosing = true;
    this.#timer?.cancel();
    this.#abandonCompression.abort();
    if (how.finishHashes) this.#hashLane.ask();
    else this.#abandonHashes.abort();
    await this.idle();
    await this.#committing;
    // Every record was synced before: a close that fails takes nothing with it.
    await this.#manifest.close().catch((error) => this.#fault('hash', MANIFEST_FILE, error, false));
  }

  get stats(): ArchiverStats {
    let segments = 0;
    let fileBytes = 0;
    let bytes = 0;
    let lines = 0;
    for (const record of this.#manifest.records.values()) {
      if (record.state !== 'closed') continue;
      segments++;
      fileBytes += record.fileBytes;
      bytes += record.bytes;
      lines += record.lines;
    }
    return {
      segments,
      fileBytes,
      bytes,
      lines,
      deletedSegments: this.#remover.deletedSegments,
      deletedFileBytes: this.#remover.deletedFileBytes,
      hashQueue: this.#toHash.length,
      compressQueue: this.#toCompress.length,
      freeBytes: this.#freeBytes,
    };
  }

  #tick(): void {
    if (this.#isClosing) return;
    this.#timer = this.#clock.setTimer(TICK_MS, () => this.#tick());
    this.#hashLane.ask();
    this.#compressLane.ask();
    this.#retentionLane.ask();
  }

  async #hashAll(): Promise<void> {
    while (this.#toHash.length > 0 && !this.#abandonHashes.signal.aborted) {
      const segment = this.#toHash[0]!;
      try {
        const record = await this.#archive(segment);
        this.#events.onArchived?.(record);
        if (this.#options.compress !== 'none') this.#toCompress.push(record.segment);
      } catch (error) {
        if (this.#abandonHashes.signal.aborted) return;
        const isHopeless = await this.#isHopeless(error);
        this.#fault('hash', segment.file, error, !isHopeless);
        if (!isHopeless) return; // order is kept: the next tick begins with this one again
      }
      this.#toHash.shift();
      this.#events.onSettled?.(segment);
      this.#compressLane.ask();
      this.#retentionLane.ask();
    }
  }

  async #archive(segment: ClosedSegment): Promise<ManifestRecord> {
    const path = join(this.#folder, segment.file);
    const journalFolder = join(this.#folder, JOURNAL_FOLDER);
    if (segment.suspect) {
      await writeAgainDurably(this.#fileSystem, { path, folder: this.#folder, bytes: segment.fileBytes });
    }
    await completeSidecar(this.#fileSystem, { folder: this.#folder, journalFolder }, segment);
    const hash = await hashOf(segment, this.#fileSystem, path, this.#abandonHashes.signal);
    const { number, ...known } = segment;
    const record: ManifestRecord = {
      ...known,
      ...hash,
      segment: number,
      state: 'closed',
      compression: 'none',
    };
    await this.#manifest.append([record]);
    return record;
  }

  #queueUncompressed(): void {
    if (this.#options.compress === 'none') return;
    for (const record of this.#manifest.records.values()) {
      if (isUncompressed(record)) this.#toCompress.push(record.segment);
    }
    this.#toCompress.sort((a, b) => a - b);
  }

  async #compressAll(): Promise<void> {
    const compression = this.#options.compress;
    if (compression === 'none') return;
    while (this.#toCompress.length > 0 && !this.#isClosing) {
      const record = this.#manifest.records.get(this.#toCompress[0]!);
      if (record !== undefined && isUncompressed(record)) {
        try {
          await this.#compress(record, compression);
        } catch (error) {
          if (this.#abandonCompression.signal.aborted) return;
          // Otherwise retention took the file away before it was opened, which is no fault.
          if (this.#manifest.records.get(record.segment) === record) {
            const isHopeless = await this.#isHopeless(error);
            this.#fault('compress', record.file, error, !isHopeless);
            if (!isHopeless) return;
          }
        }
      }
      this.#toCompress.shift();
      this.#retentionLane.ask();
    }
  }

  async #compress(record: ManifestRecord, compression: 'gzip' | 'zstd'): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const drafted = await draftCompressed(
      this.#fileSystem,
      this.#folder,
      record,
      compression,
      this.#abandonCompression.signal,
    );
    const isReplaced = await this.#commit(async () => {
      if (this.#manifest.records.get(record.segment) !== record) {
        await this.#fileSystem.unlink(drafted.path); // retention was faster
        return false;
      }
      await this.#fileSystem.rename(drafted.path, join(this.#folder, drafted.record.file));
      await this.#fileSystem.syncFolder(this.#folder);
      await this.#manifest.append([drafted.record]);
      await this.#remover.unlinkSuperfluous(join(this.#folder, record.file));
      return true;
    });
    if (isReplaced) {
      const durationMs = this.#clock.monotonicMs() - startedMs;
      this.#events.onCompressed?.(drafted.record, record.fileBytes, durationMs);
    }
  }

  async #retain(): Promise<void> {
    if (this.#isClosing) return;
    try {
      await this.#commit(async () => {
        await this.#remover.unlinkLeftovers();
        // A segment without a record may be the oldest one: first it gets it back.
        if (this.#toAdopt.length > 0) return;
        const records = this.#manifest.records.values();
        const doomed = segmentsToDelete(records, this.#options, this.#clock.nowMs());
        const deleted = await this.#remover.deleteSegments(doomed, this.#isSpaceLow);
        if (deleted.length > 0) this.#events.onDeleted?.(deleted);
      });
    } catch (error) {
      this.#fault('retain', this.#folder, error, true);
    }
    try {
      await this.#lookAtSpace();
    } catch (error) {
      this.#fault('space', this.#folder, error, true);
    }
  }

  /** Gives records to compressed files that lost theirs. Slow for a big journal, and nothing waits for it. */
  async #adoptAll(): Promise<void> {
    for (const name of this.#toAdopt) {
      if (this.#isClosing) return;
      try {
        const { signal } = this.#abandonCompression;
        const found = await describeCompressed(this.#folder, name, signal);
        const known = this.#manifest.records.get(name.number);
        if (known !== undefined && known.bytes !== found.bytes) {
          throw new DamageError(`it holds ${found.bytes} bytes where the manifest says ${known.bytes}`);
        }
        const { file, fileBytes, sha256, compression } = found;
        const record = known === undefined ? found : { ...known, file, fileBytes, sha256, compression };
        await this.#commit(() => this.#manifest.append([record]));
        this.#events.onArchived?.(record);
      } catch (error) {
        if (!this.#abandonCompression.signal.aborted) this.#fault('recover', name.file, error, false);
      }
    }
    this.#toAdopt = [];
    this.#retentionLane.ask();
  }

  async #lookAtSpace(): Promise<void> {
    const { availableBytes } = await this.#fileSystem.space(this.#folder);
    this.#freeBytes = availableBytes;
    const isLow = availableBytes < this.#options.lowSpaceBytes;
    if (isLow === this.#isSpaceLow) return;
    this.#isSpaceLow = isLow;
    if (isLow) this.#events.onLowSpace?.(availableBytes);
    else this.#events.onSpace?.(availableBytes);
  }

  /** Runs `change` alone: no other change of segment files is under way. */
  #commit<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#committing.then(change);
    this.#committing = result.catch(() => {});
    return result;
  }

  /** A file that is gone stays gone, and waiting for it would hold up all behind it; a folder may come back. */
  async #isHopeless(error: unknown): Promise<boolean> {
    if (error instanceof DamageError) return true;
    if (systemErrorCode(error) !== 'ENOENT') return false;
    const folder = await this.#fileSystem.stat(this.#folder).catch(() => undefined);
    return folder !== undefined;
  }

  #fault(task: ArchiverFault['task'], file: string, error: unknown, willRetry: boolean): void {
    const code = error instanceof DamageError ? 'DAMAGED' : systemErrorCode(error);
    this.#events.onFault?.({ task, file, code, message: errorMessage(error), willRetry });
  }
}

function isUncompressed(record: ManifestRecord): boolean {
  return record.state === 'closed' && record.compression === 'none';
}
