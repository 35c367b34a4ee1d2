/**
 * Looks at the journal of a run: what a reader gets, what retention took, and in the end what `verify` says.
 * What follows from a sync that failed is told apart: it is not the daemon's to mend.
 */
import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { viewFolder } from '../../src/journal/folder-view.ts';
import { parseManifest } from '../../src/journal/manifest.ts';
import { allLines } from '../../src/journal/reader.ts';
import {
  blocksFile,
  JOURNAL_FOLDER,
  MANIFEST_FILE,
  parseSegmentFile,
} from '../../src/journal/segment-name.ts';
import { segmentLines } from '../../src/journal/segment-stream.ts';
import { verifyFolder } from '../../src/journal/verify.ts';
import type { SimulatedDisk } from './disk.ts';
import { SimulatedFile } from './disk-files.ts';
import { type Look, linesOfFile, type Oracle, Violation } from './oracle.ts';
import { open as openOnDisk } from './platform/fs-promises.ts';
import { FOLDER } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';
import type { ExpectedReading } from './submissions.ts';

const MANIFEST_PATH = `${FOLDER}/${JOURNAL_FOLDER}/${MANIFEST_FILE}`;

export class Inspection {
  readonly #disk: SimulatedDisk;
  readonly #oracle: Oracle;
  readonly #scheduler: Scheduler;
  looks = 0;
  verifiedSegments = 0;
  /** At the last look: segments whose record says that a sync failed, and those of them that are gone. */
  readonly #suspects = new Set<string>();
  readonly #missingSuspects = new Set<string>();

  constructor(disk: SimulatedDisk, oracle: Oracle, scheduler: Scheduler) {
    this.#disk = disk;
    this.#oracle = oracle;
    this.#scheduler = scheduler;
  }

  /** Reads the journal as any reader does. `settles`: what is there now is on the disk, and stays. */
  async look(look: Look, settles: boolean): Promise<number> {
    let lines = 0;
    const missing = this.#missingSuspects;
    missing.clear();
    this.#suspects.clear();
    this.looks++;
    this.#oracle.beginLook();
    if (this.#disk.find(FOLDER) === undefined) {
      this.#oracle.endLook(look);
      return 0;
    }
    const view = await viewFolder(FOLDER);
    const settled: ExpectedReading[] = [];
    for (const { file, compression, record } of view.segments) {
      const seen: ExpectedReading[] = [];
      if (record?.suspect === true) this.#suspects.add(file);
      const isDoubtful = record?.suspect === true || this.#isTainted(`${FOLDER}/${file}`);
      const node = this.#disk.find(`${FOLDER}/${file}`);
      // The end of the file spares readers a buffer for what is not there.
      const sizeBytes = node instanceof SimulatedFile ? node.sizeBytes : 0;
      const range = compression === 'none' ? { to: Math.min(record?.bytes ?? sizeBytes, sizeBytes) } : {};
      const handle = await openOnDisk(`${FOLDER}/${file}`).catch(() => undefined);
      if (handle === undefined) {
        // Its name was never synced, and the record says that something was wrong.
        if (record?.suspect === true) {
          missing.add(file);
          continue;
        }
        throw new Violation(`${file} is in the manifest and not in the folder`);
      }
      try {
        for await (const chunk of segmentLines(handle as never, compression, range)) {
          lines += newlinesIn(chunk);
          this.#oracle.see(
            file,
            chunk.toString('latin1'),
            isDoubtful ? { ...look, mayBeTorn: true } : look,
            seen,
          );
        }
      } catch (error) {
        throw error instanceof Violation ? error : new Violation(`${file} cannot be read: ${String(error)}`);
      }
      if (!isDoubtful) settled.push(...seen);
      this.#scheduler.mix(crc32(seen.map(({ name }) => name).join()));
    }
    // Deleted by record, and not unlinked yet: no reader counts it any more.
    for (const record of view.manifest.records.values()) {
      const path = `${FOLDER}/${record.file}`;
      const file = record.state === 'deleted' ? this.#disk.find(path) : undefined;
      if (file instanceof SimulatedFile) this.#retire(path, file);
    }
    this.#oracle.endLook(look);
    if (settles) this.#oracle.settle(settled, look);
    return lines;
  }

  /** The segment, or its sidecar, is on a part of the disk that failed. */
  #isDoubtful(file: string): boolean {
    const name = parseSegmentFile(file);
    const sidecar = name && `${FOLDER}/${JOURNAL_FOLDER}/${blocksFile(name.base)}`;
    return this.#isTainted(`${FOLDER}/${file}`) || (sidecar !== undefined && this.#isTainted(sidecar));
  }

  /** A sync of it failed once, and what followed from that is not the daemon's to mend. */
  #isTainted(path: string): boolean {
    const file = this.#disk.find(path);
    return file instanceof SimulatedFile && file.isTainted;
  }

  /** Before a name goes. */
  onUnlink(path: string, file: SimulatedFile): void {
    const name = path.startsWith(`${FOLDER}/`) ? parseSegmentFile(path.slice(FOLDER.length + 1)) : undefined;
    if (name === undefined) return;
    const manifest = parseManifest(Buffer.from(this.#disk.durableBytesOf(MANIFEST_PATH)));
    const record = manifest.records.get(name.number);
    if (record?.state === 'deleted') this.#retire(path, file);
  }

  #retire(path: string, file: SimulatedFile): void {
    let lines: string[] = [];
    try {
      lines = linesOfFile(path, file.content());
    } catch {
      // Half a compressed copy, beside the plain file that counts.
    }
    this.#oracle.segmentRetired(lines);
  }

  /** After the last drain: the reader and `verify` find what the look found. */
  async checkEnd(lines: number, hadTrouble: boolean): Promise<void> {
    if (this.#missingSuspects.size === 0) {
      let read = 0;
      for await (const chunk of allLines(FOLDER)) read += newlinesIn(chunk);
      if (read !== lines) throw new Violation(`the reader gives ${read} lines, the segments hold ${lines}`);
    }
    const report = await verifyFolder(FOLDER, { settleMs: 0 });
    this.verifiedSegments += report.segments;
    // A sidecar that could not be written at the close stays unfinished: verify says so, and can mend it.
    const unexplained = report.faults.filter(
      ({ kind, file }) =>
        !this.#isDoubtful(file) && !(kind === 'sidecar' && hadTrouble) && !this.#suspects.has(file),
    );
    if (unexplained.length > 0) {
      const faults = unexplained.map(({ kind, file, message }) => `${kind} ${file}: ${message}`);
      throw new Violation(`verify finds faults: ${faults.join('; ')}`);
    }
  }
}

function newlinesIn(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, at + 1)) count++;
  return count;
}
