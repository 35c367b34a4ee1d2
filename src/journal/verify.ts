/**
 * Checks a whole journal folder: every segment against its record and sidecar, and that files, records and
 * numbers account for each other. Read-only; works on a copied folder and beside a running daemon.
 *
 * Invariants:
 * 1. A fault is something that must not be in a healthy journal. What merely deserves a look (a file that
 *    is not ours, a suspect segment) is a notice and does not fail the check.
 * 2. A state that a running daemon passes through is a fault only when it is still there after a while.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FolderView, SegmentView } from './folder-view.ts';
import { requireJournal, viewFolder } from './folder-view.ts';
import { isInMotion, manifestFaults, notices, openSegmentOf, passingFaults } from './verify-folder.ts';
import type { CheckOptions, Fault } from './verify-segment.ts';
import { checkSegment } from './verify-segment.ts';

export type { Fault, FaultKind } from './verify-segment.ts';

/** Files read at once; hashing is bound to one core, the rest only overlaps reading and decompression. */
const PARALLEL_FILES = 4;
/** How long a daemon gets to finish a step that we caught it in. */
const SETTLE_MS = 3000;
const SETTLE_STEP_MS = 100;

export interface VerifyOptions {
  /** Lines of blocks whose checksum is right are counted, not parsed. */
  readonly isQuick?: boolean;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** As they are found; the report has them in order. */
  readonly onFault?: (fault: Fault) => void;
  readonly signal?: AbortSignal;
  readonly settleMs?: number;
}

export interface VerifyReport {
  readonly segments: number;
  readonly lines: number;
  /** Uncompressed, and as the files lie. */
  readonly bytes: number;
  readonly fileBytes: number;
  readonly deletedSegments: number;
  /** The file that is or was being written, checked as far as it goes. */
  readonly openFile: string | null;
  readonly faults: readonly Fault[];
  readonly notices: readonly string[];
}

/** Throws SinkError FOLDER_MISSING or JOURNAL_UNREADABLE. */
export async function verifyFolder(folder: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  return new FolderCheck(folder, options).run();
}

class FolderCheck {
  readonly #folder: string;
  readonly #options: VerifyOptions;
  readonly #faults: Fault[] = [];
  #doneBytes = 0;
  #totalBytes = 0;
  #segments = 0;
  #lines = 0;
  #bytes = 0;
  #fileBytes = 0;

  constructor(folder: string, options: VerifyOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async run(): Promise<VerifyReport> {
    const view = await viewFolder(this.#folder);
    requireJournal(view);
    const open = openSegmentOf(view);
    await this.#measure(view);
    const queue = [...view.segments];
    const workers = Array.from({ length: PARALLEL_FILES }, async () => {
      for (let segment = queue.shift(); segment !== undefined; segment = queue.shift()) {
        await this.#check(segment, segment === open);
      }
    });
    await Promise.all(workers);

    const later = await this.#settle();
    for (const fault of manifestFaults(later)) this.#report(fault);
    // What began after our first look is none of our business.
    const lastSegment = view.segments.at(-1)?.number ?? 0;
    for (const fault of passingFaults(later)) {
      if ((fault.segment ?? 0) <= lastSegment) this.#report(fault);
    }
    this.#faults.sort((a, b) => (a.segment ?? 0) - (b.segment ?? 0) || (a.offset ?? -1) - (b.offset ?? -1));
    let deletedSegments = 0;
    for (const record of later.manifest.records.values()) if (record.state === 'deleted') deletedSegments++;
    return {
      segments: this.#segments,
      lines: this.#lines,
      bytes: this.#bytes,
      fileBytes: this.#fileBytes,
      deletedSegments,
      openFile: open?.file ?? null,
      faults: this.#faults,
      notices: notices(later),
    };
  }

  /** Progress needs to know what is ahead; closed segments have it in their records. */
  async #measure(view: FolderView): Promise<void> {
    for (const { record, file } of view.segments) {
      const size = record?.fileBytes ?? (await stat(join(this.#folder, file)).catch(() => undefined))?.size;
      this.#totalBytes += size ?? 0;
    }
    this.#options.onProgress?.(0, this.#totalBytes);
  }

  async #check(segment: SegmentView, isOpen: boolean): Promise<void> {
    const options: CheckOptions = {
      isQuick: this.#options.isQuick ?? false,
      signal: this.#options.signal,
      onBytes: (bytes) => {
        this.#doneBytes += bytes;
        // An open segment grows while we look.
        this.#totalBytes = Math.max(this.#totalBytes, this.#doneBytes);
        this.#options.onProgress?.(this.#doneBytes, this.#totalBytes);
      },
    };
    let current = segment;
    for (;;) {
      options.signal?.throwIfAborted();
      const check = await checkSegment(this.#folder, current, isOpen, options);
      if (check !== undefined) {
        this.#segments++;
        this.#lines += check.lines;
        this.#bytes += check.bytes;
        this.#fileBytes += check.fileBytes;
        for (const fault of check.faults) this.#report(fault);
        return;
      }
      // Compressed or deleted since the last look? Its record says so, and was there before the file went.
      const view = await viewFolder(this.#folder);
      const now = view.segments.find(({ number }) => number === segment.number);
      if (now === undefined) return;
      if (now.file === current.file) {
        const { file, number } = now;
        const message = 'in the manifest, but not in the folder';
        this.#report({ kind: 'missing', file, segment: number, offset: null, fileOffset: null, message });
        return;
      }
      current = now;
    }
  }

  /** The folder as it is once a daemon that may be at work has finished the steps we can see it in. */
  async #settle(): Promise<FolderView> {
    let leftMs = this.#options.settleMs ?? SETTLE_MS;
    for (;;) {
      const view = await viewFolder(this.#folder);
      if (leftMs <= 0 || !isInMotion(view) || passingFaults(view).length === 0) return view;
      await delay(SETTLE_STEP_MS);
      leftMs -= SETTLE_STEP_MS;
    }
  }

  #report(fault: Fault): void {
    this.#faults.push(fault);
    this.#options.onFault?.(fault);
  }
}
