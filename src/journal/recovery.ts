/**
 * What a start does with the segments that a crash left unrecorded: judge each (segment-scan.ts), cut the
 * torn tail, complete the sidecar, and report it as closed, so that the archiver records it.
 *
 * Invariants:
 * 1. Only plain segments without a manifest record are touched. Half-done compressions and deletions
 *    belong to recorded segments and are the archiver's to finish.
 * 2. No byte is destroyed unseen: what is cut lies in .journal/torn/ before the cut, if the disk lets us.
 *    More than MAX_CUT_BYTES is not cut at all but left in the file behind the valid bytes. A file that
 *    cannot be read to its end is left as it lies, without a record: readers take its whole lines.
 * 3. Doing it twice changes nothing: every step can be interrupted and found again by the next start.
 * 4. No number is used twice, also not that of a segment that was removed because nothing was in it: its checkpoint of
 *    the producers may be there, and says which segments a start need not read.
 * 5. A disk that takes no writes does not stop the start; what could not be done is told in `faults`.
 * 6. What is reported as good is on the disk, also where a sync had failed in the process that died (write-again.ts).
 */
import { join } from 'node:path';
import { MiB } from '../base/byte-size.ts';
import { errorMessage, SinkError } from '../base/errors.ts';
import { parseBlocks } from './blocks.ts';
import type { FileSystem } from './file-system.ts';
import { readFully, readWholeFile, writeFully } from './file-system.ts';
import type { ClosedSegment } from './manifest.ts';
import { highestSegment, parseManifest } from './manifest.ts';
import type { SegmentFolders } from './open-segment.ts';
import { checkpointFiles } from './producers/newest-checkpoint.ts';
import type { SegmentName } from './segment-name.ts';
import { blocksFile, MANIFEST_FILE, segmentsAmong } from './segment-name.ts';
import type { SegmentScan } from './segment-scan.ts';
import { scanSegment } from './segment-scan.ts';
import { writeSidecar } from './sidecar-file.ts';
import { writeAgain } from './write-again.ts';

export const TORN_FOLDER = 'torn';
const MAX_CUT_BYTES = 8 * MiB;
/** A passing error must not cost a segment its record until the next start. */
const READ_ATTEMPTS = 3;
/** So that a crash loop does not fill the disk with its remains. */
const MAX_TORN_FILES = 16;

export interface RecoveredSegment {
  readonly closed: ClosedSegment;
  /** Taken off the end of the file. */
  readonly cutBytes: number;
  /** File in the journal folder that holds them; null when nothing was cut or it could not be saved. */
  readonly cutSavedAs: string | null;
  /** Invalid bytes that were left at the end of the file. */
  readonly leftBytes: number;
  /** Blocks in its middle whose checksum is wrong; kept. */
  readonly damagedBlocks: number;
}

export interface RecoveryReport {
  readonly segments: readonly RecoveredSegment[];
  /** Empty segment files that were removed. */
  readonly removedEmpty: number;
  /** Over manifest, folder and checkpoints; the next segment is one higher. */
  readonly highestNumber: number;
  /** What went wrong on the way, a line each. */
  readonly faults: readonly string[];
}

/** `reportedNumber`: segments up to it were reported by this process already. Throws SinkError JOURNAL_UNREADABLE. */
export async function recoverJournal(
  fileSystem: FileSystem,
  folders: SegmentFolders,
  reportedNumber: number,
  nowMs: number,
): Promise<RecoveryReport> {
  const { names, recorded, highestKnown } = await readJournal(fileSystem, folders);
  const faults: string[] = [];
  const segments: RecoveredSegment[] = [];
  const seen = new Set<number>();
  let removedEmpty = 0;
  let highestNumber = highestKnown;
  for (const name of names) {
    highestNumber = Math.max(highestNumber, name.number);
    if (name.compression !== 'none' || recorded.has(name.number) || name.number <= reportedNumber) continue;
    if (seen.has(name.number)) {
      faults.push(`${name.file}: left alone, another file has its number`);
      continue;
    }
    try {
      const recovered = await new SegmentRecovery(fileSystem, folders, name, nowMs, faults).run();
      if (recovered === undefined) {
        removedEmpty++;
        continue;
      }
      seen.add(name.number);
      segments.push(recovered);
    } catch (error) {
      faults.push(`${name.file}: cannot be recovered, left alone: ${errorMessage(error)}`);
    }
  }
  return { segments, removedEmpty, highestNumber, faults };
}

async function readJournal(
  fileSystem: FileSystem,
  { folder, journalFolder }: SegmentFolders,
): Promise<{ names: SegmentName[]; recorded: ReadonlySet<number>; highestKnown: number }> {
  try {
    const names = segmentsAmong(await fileSystem.list(folder));
    const content = await readWholeFile(fileSystem, join(journalFolder, MANIFEST_FILE));
    const manifest = parseManifest(content ?? new Uint8Array(0));
    const [newest] = await checkpointFiles(fileSystem, journalFolder);
    const highestKnown = Math.max(highestSegment(manifest), newest?.number ?? 0);
    return { names, recorded: new Set(manifest.records.keys()), highestKnown };
  } catch (error) {
    throw new SinkError('JOURNAL_UNREADABLE', `FILE_PATH ${folder}: cannot be read: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

class SegmentRecovery {
  readonly #fileSystem: FileSystem;
  readonly #folders: SegmentFolders;
  readonly #name: SegmentName;
  readonly #nowMs: number;
  readonly #faults: string[];
  readonly #path: string;
  readonly #sidecarPath: string;

  constructor(
    fileSystem: FileSystem,
    folders: SegmentFolders,
    name: SegmentName,
    nowMs: number,
    faults: string[],
  ) {
    this.#fileSystem = fileSystem;
    this.#folders = folders;
    this.#name = name;
    this.#nowMs = nowMs;
    this.#faults = faults;
    this.#path = join(folders.folder, name.file);
    this.#sidecarPath = join(folders.journalFolder, blocksFile(name.base));
  }

  /** Undefined when there was nothing in it and it was removed. */
  async run(): Promise<RecoveredSegment | undefined> {
    const fd = await this.#fileSystem.open(this.#path, 'modify');
    let result: RecoveredSegment | undefined;
    try {
      result = await this.#recover(fd);
    } finally {
      await this.#fileSystem.close(fd);
    }
    if (result === undefined) await this.#remove();
    return result;
  }

  async #recover(fd: number): Promise<RecoveredSegment | undefined> {
    const { sizeBytes } = await this.#fileSystem.status(fd);
    if (sizeBytes === 0) return undefined;
    const sidecar = await this.#readSidecar();
    const scan = await this.#scan(fd, sizeBytes, sidecar);
    let suspect = scan.damagedBlockOffsets.length > 0;
    const { leftBytes, cutSavedAs } = await this.#cut(fd, sizeBytes, scan);
    if (scan.validBytes === 0 && leftBytes === 0) {
      this.#faults.push(
        `${this.#name.file}: held no whole line; ${savedText(sizeBytes, cutSavedAs)}, file removed`,
      );
      return undefined;
    }
    await this.#attempt('complete the sidecar', () =>
      writeSidecar(this.#fileSystem, this.#folders.journalFolder, this.#name.base, sidecar, scan.blocks),
    );
    // What survived in the page cache is not on the disk yet, and the manifest is about to vouch for it.
    const fileBytes = scan.validBytes + leftBytes;
    if (!(await this.#attempt('write it again', () => writeAgain(this.#fileSystem, fd, fileBytes)))) {
      suspect = true;
    }
    if (!(await this.#attempt('sync', () => this.#fileSystem.sync(fd)))) suspect = true;
    await this.#attempt('sync the folder', () => this.#fileSystem.syncFolder(this.#folders.folder));
    const { number, file, startedAtMs } = this.#name;
    const closed: ClosedSegment = {
      number,
      file,
      startedAtMs,
      closedAtMs: Math.max(startedAtMs, this.#nowMs),
      lines: scan.lines,
      bytes: scan.validBytes,
      fileBytes,
      firstReceivedAtMs: scan.firstReceivedAtMs,
      lastReceivedAtMs: scan.lastReceivedAtMs,
      suspect,
    };
    return {
      closed,
      cutBytes: sizeBytes - scan.validBytes - leftBytes,
      cutSavedAs,
      leftBytes,
      damagedBlocks: scan.damagedBlockOffsets.length,
    };
  }

  /** Throws when the disk does not give the bytes: what cannot be read cannot be judged, and may well be whole. */
  async #scan(fd: number, sizeBytes: number, sidecar: Uint8Array): Promise<SegmentScan> {
    for (let attempt = 1; ; attempt++) {
      const scan = await scanSegment(this.#fileSystem, fd, sizeBytes, parseBlocks(sidecar));
      if (scan.readError === undefined) return scan;
      if (attempt === READ_ATTEMPTS) throw scan.readError;
    }
  }

  async #readSidecar(): Promise<Uint8Array> {
    try {
      return (await readWholeFile(this.#fileSystem, this.#sidecarPath)) ?? new Uint8Array(0);
    } catch (error) {
      // Then every line is read instead.
      this.#fault('read the sidecar', error);
      return new Uint8Array(0);
    }
  }

  async #cut(
    fd: number,
    sizeBytes: number,
    scan: SegmentScan,
  ): Promise<{ leftBytes: number; cutSavedAs: string | null }> {
    const tornBytes = sizeBytes - scan.validBytes;
    if (tornBytes === 0) return { leftBytes: 0, cutSavedAs: null };
    if (tornBytes > MAX_CUT_BYTES) return { leftBytes: tornBytes, cutSavedAs: null };
    const name = `${this.#name.base}-${scan.validBytes}.bin`;
    const saved = await this.#attempt('save the torn tail', () =>
      this.#save(fd, name, scan.validBytes, tornBytes),
    );
    const cut = await this.#attempt('cut the torn tail', () =>
      this.#fileSystem.truncate(fd, scan.validBytes),
    );
    return { leftBytes: cut ? 0 : tornBytes, cutSavedAs: saved ? join(TORN_FOLDER, name) : null };
  }

  async #save(fd: number, name: string, from: number, bytes: number): Promise<void> {
    const tornFolder = join(this.#folders.journalFolder, TORN_FOLDER);
    // Never more than this one folder: what is above it is not ours to make at run time.
    if ((await this.#fileSystem.stat(tornFolder)) === undefined) {
      await this.#fileSystem.makeFolder(tornFolder, false);
    }
    await this.#removeOldestTorn(tornFolder);
    const content = new Uint8Array(bytes);
    await readFully(this.#fileSystem, fd, content, from);
    const path = join(tornFolder, name);
    const tornFd = await this.#fileSystem.open(path, 'replace');
    try {
      await writeFully(this.#fileSystem, tornFd, content, 0);
      await this.#fileSystem.sync(tornFd);
    } finally {
      await this.#fileSystem.close(tornFd);
    }
  }

  async #removeOldestTorn(tornFolder: string): Promise<void> {
    const files: { path: string; modifiedAtMs: number }[] = [];
    for (const file of await this.#fileSystem.list(tornFolder)) {
      const path = join(tornFolder, file);
      const status = await this.#fileSystem.stat(path);
      if (status !== undefined) files.push({ path, modifiedAtMs: status.modifiedAtMs });
    }
    files.sort((a, b) => b.modifiedAtMs - a.modifiedAtMs);
    for (const { path } of files.slice(MAX_TORN_FILES - 1)) await this.#fileSystem.unlink(path);
  }

  async #remove(): Promise<void> {
    await this.#fileSystem.unlink(this.#path);
    if ((await this.#fileSystem.stat(this.#sidecarPath)) !== undefined) {
      await this.#fileSystem.unlink(this.#sidecarPath);
    }
  }

  async #attempt(operation: string, action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      this.#fault(operation, error);
      return false;
    }
  }

  #fault(operation: string, error: unknown): void {
    this.#faults.push(`${this.#name.file}: cannot ${operation}: ${errorMessage(error)}`);
  }
}

function savedText(bytes: number, savedAs: string | null): string {
  return savedAs === null ? `${bytes} bytes cut and not saved` : `${bytes} bytes cut and kept in ${savedAs}`;
}
