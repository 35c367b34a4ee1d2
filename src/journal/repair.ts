/**
 * Makes a damaged journal whole again: each damage costs what is damaged and nothing else, and what is taken out is
 * kept aside. Holds the folder lock, so no daemon is at work meanwhile.
 *
 *   lock ─▶ verify ─▶ per segment with a fault ─▶ manifest ─▶ verify again ─▶ unlock
 *
 *   a segment's file is damaged     pieces to quarantine ─▶ draft ─▶ record ─▶ rename ─▶ sidecar ─▶ old file to quarantine
 *   its record or sidecar is        sidecar ─▶ record
 *   nothing of it is left           file and sidecar to quarantine ─▶ record "deleted", with the lines lost
 *
 * Invariants:
 * 1. Whatever is taken out of the journal is on the disk in .journal/quarantine/ before.
 * 2. Killed at any point it can be run again and ends the same: until the rename everything it judged by is still
 *    there, and from the rename on the record vouches for the new file.
 * 3. Damage is never given a clean bill: lines that nothing vouches for make the segment suspect, and a repaired
 *    record says so for good.
 * 4. A segment that verify finds nothing wrong with is not touched.
 */
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { errorMessage, SinkError } from '../base/errors.ts';
import type { FileSystem } from './file-system.ts';
import { readWholeFile } from './file-system.ts';
import type { FolderLock } from './folder-lock.ts';
import { lockFolder } from './folder-lock.ts';
import { requireJournal, viewFolder } from './folder-view.ts';
import { ManifestFile } from './manifest-file.ts';
import { Quarantine } from './quarantine.ts';
import type { RepairReport, SegmentRepair } from './repair-report.ts';
import { SegmentRepairer } from './repair-segment.ts';
import { JOURNAL_FOLDER, MANIFEST_FILE, segmentsAmong } from './segment-name.ts';
import type { Fault } from './verify.ts';
import { verifyFolder } from './verify.ts';

export interface RepairOptions {
  readonly isDryRun: boolean;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** Throws SinkError FOLDER_MISSING, FOLDER_LOCKED, FOLDER_NOT_WRITABLE or JOURNAL_UNREADABLE. */
export async function repairFolder(folder: string, options: RepairOptions): Promise<RepairReport> {
  requireJournal(await viewFolder(folder));
  const lock = await takeLock(folder, options);
  try {
    return await new FolderRepair(folder, options).run();
  } finally {
    await lock?.release();
  }
}

/** A dry run changes nothing, so a folder that cannot be written to can have one; one that is in use cannot. */
async function takeLock(
  folder: string,
  { fileSystem, isDryRun }: RepairOptions,
): Promise<FolderLock | undefined> {
  const journalFolder = join(folder, JOURNAL_FOLDER);
  try {
    if (!isDryRun && (await fileSystem.stat(journalFolder)) === undefined) {
      await fileSystem.makeFolder(journalFolder, false);
    }
    return await lockFolder(fileSystem, folder, journalFolder);
  } catch (error) {
    if (isDryRun && error instanceof SinkError && error.code === 'FOLDER_NOT_WRITABLE') return undefined;
    if (error instanceof SinkError) throw error;
    throw new SinkError('FOLDER_NOT_WRITABLE', `${folder}: ${errorMessage(error)}`, { cause: error });
  }
}

class FolderRepair {
  readonly #folder: string;
  readonly #options: RepairOptions;
  readonly #failures: string[] = [];

  constructor(folder: string, options: RepairOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async run(): Promise<RepairReport> {
    const { isDryRun } = this.#options;
    const faultsBefore = await this.#faults();
    if (faultsBefore.length === 0) return this.#report(faultsBefore, 0, null, [], faultsBefore);
    const { fileSystem } = this.#options;
    const quarantine = isDryRun ? undefined : new Quarantine(fileSystem, this.#folder);
    let manifest: ManifestFile | undefined;
    let dropped = 0;
    let savedAs: string | null = null;
    const segments: SegmentRepair[] = [];
    try {
      const view = await viewFolder(this.#folder);
      dropped = view.manifest.damagedLines.length;
      if (quarantine !== undefined) {
        if (dropped > 0) savedAs = await this.#saveManifest(quarantine, dropped);
        manifest = await ManifestFile.open(fileSystem, this.#folder);
        if (dropped > 0) await manifest.dropDamagedLines();
      }
      const records = manifest?.records ?? view.manifest.records;
      const byNumber = Map.groupBy(segmentsAmong(view.files), ({ number }) => number);
      const numbers = new Set([...records.keys(), ...byNumber.keys()]);
      for (const number of [...numbers].sort((a, b) => a - b)) {
        const faults = faultsBefore.filter((fault) => fault.segment === number && fault.kind !== 'gap');
        if (faults.length === 0) continue;
        const repairer = new SegmentRepairer({
          fileSystem,
          folder: this.#folder,
          nowMs: this.#options.clock.nowMs(),
          names: byNumber.get(number) ?? [],
          record: records.get(number),
          faults,
          quarantine,
          manifest,
        });
        try {
          segments.push(await repairer.run());
        } catch (error) {
          this.#failures.push(`segment ${number}: ${errorMessage(error)}`);
        }
      }
    } catch (error) {
      this.#failures.push(`${this.#folder}: ${errorMessage(error)}`);
    } finally {
      await manifest?.close().catch(() => {});
    }
    const faultsAfter = isDryRun ? faultsBefore : await this.#faults();
    return this.#report(faultsBefore, dropped, savedAs, segments, faultsAfter);
  }

  async #faults(): Promise<readonly Fault[]> {
    const { onProgress } = this.#options;
    const options = { settleMs: 0, ...(onProgress === undefined ? {} : { onProgress }) };
    return (await verifyFolder(this.#folder, options)).faults;
  }

  async #saveManifest(quarantine: Quarantine, lines: number): Promise<string | null> {
    const path = join(this.#folder, JOURNAL_FOLDER, MANIFEST_FILE);
    const bytes = await readWholeFile(this.#options.fileSystem, path);
    if (bytes === undefined) return null;
    const why = 'the manifest as it was, with lines that cannot be read';
    return quarantine.keep({ file: MANIFEST_FILE, offset: 0, bytes, lines, why });
  }

  #report(
    faultsBefore: readonly Fault[],
    manifestLinesDropped: number,
    manifestSavedAs: string | null,
    segments: readonly SegmentRepair[],
    faultsAfter: readonly Fault[],
  ): RepairReport {
    return {
      isDryRun: this.#options.isDryRun,
      faultsBefore,
      manifestLinesDropped,
      manifestSavedAs,
      segments,
      failures: this.#failures,
      faultsAfter,
      lostLines: segments.reduce((sum, { lostLines }) => sum + lostLines, 0),
      lostBytes: segments.reduce((sum, { lostBytes }) => sum + lostBytes, 0),
    };
  }
}
