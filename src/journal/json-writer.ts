/**
 * Appends batches of lines to the journal, makes them durable and says so. It lives in one thread and
 * knows of no other; whoever owns it calls `append` and `flush` and answers to the events.
 *
 *                 openJsonWriter: make the folder, lock it, recover what a crash left
 *                                        │
 *                                        ▼            folder or lock gone
 *      probe ok ┌──────────────────── writing ─────────────────────────────▶ adrift ───┐
 *      ┌────────┤                        ▲  ▲                                 │  ▲     │ every second:
 *      │        ▼ fault                  │  │  folder back, locked, recovered │  └─────┘ not yet back
 *   failing: still writing,              │  └─────────────────────────────────┘
 *   each append is tried and             │
 *   may fail; probed every second ───────┘        close(), from anywhere: drain, sync, close, unlock ─▶ closed
 *
 *   A segment:  begun by its first batch ─▶ open ─▶ retired ─▶ synced ─▶ closed, reported
 *               retired by: size, interval, fault (cannot be cut back), suspect (sync failed), lost (removed
 *               or moved), adrift, close.
 *
 * Invariants:
 * 1. Every batch given to `append` gets exactly one answer. Within one segment the positive answers are in order.
 * 2. ok means: wholly in a file that had a name in the folder after the write ('written'), and covered by a
 *    sync that began after the write and succeeded ('synced').
 * 3. Before a refusal goes out the batch has been cut out of the file again; where the cut failed, the
 *    segment is retired and reported with fewer valid bytes than the file has.
 * 4. A batch is never split over two segments, nor is a line.
 * 5. Segment numbers only grow, whatever the clock does, and are never used twice.
 * 6. Segments are reported in the order of their numbers, each once.
 * 7. The append path waits for no sync but that of a cut; see segment-closer.ts.
 * 8. After a fault, health turns true again only by a probe; see journal-health.ts.
 * 9. The folder is made at open only; see folder-watch.ts.
 */
import { invariant } from '../base/assert.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { systemErrorCode } from '../base/errors.ts';
import { DirectWrites } from './direct-writes.ts';
import { probeDisk } from './disk-probe.ts';
import type { FileSystem } from './file-system.ts';
import { JournalFolder } from './journal-folder.ts';
import type { JournalHealth } from './journal-health.ts';
import { HealthKeeper } from './journal-health.ts';
import type {
  JsonWriterEvents,
  JsonWriterOptions,
  JsonWriterParts,
  LostSegment,
  RetireCause,
} from './json-writer-events.ts';
import { type AppendBatch, type FinishReport, OpenSegment } from './open-segment.ts';
import { nextGroup, type PendingBatch, refuseFrom } from './pending-batches.ts';
import { type RecoveryReport, recoverJournal } from './recovery.ts';
import { type RotationCause, rotationCause, untilBoundaryMs } from './rotation.ts';
import { SegmentCloser } from './segment-closer.ts';
import { SegmentSyncer } from './segment-syncer.ts';
import type { AppendDone, WriteFault } from './write-fault.ts';
import { writeFault } from './write-fault.ts';

/** How often folder, lock, segment and rotation are looked at. */
const WATCH_INTERVAL_MS = 1000;

interface Current {
  readonly segment: OpenSegment;
  readonly syncer: SegmentSyncer;
}

/** Throws SinkError FOLDER_LOCKED, FOLDER_NOT_WRITABLE or JOURNAL_UNREADABLE. */
export async function openJsonWriter(
  options: JsonWriterOptions,
  parts: JsonWriterParts,
): Promise<JsonWriter> {
  const { fileSystem, clock, events } = parts;
  const folder = await JournalFolder.open(fileSystem, options.filePath);
  try {
    const report = await recoverJournal(fileSystem, folder.paths, 0, clock.nowMs());
    const writer = new JsonWriter(options, parts, folder, report);
    events.onRecovered(report);
    for (const { closed } of report.segments) events.onSegmentClosed(closed, 'recovered');
    return writer;
  } catch (error) {
    await folder.release();
    throw error;
  }
}

export class JsonWriter {
  readonly #options: JsonWriterOptions;
  readonly #fileSystem: FileSystem;
  readonly #clock: Clock;
  readonly #events: JsonWriterEvents;
  readonly #folder: JournalFolder;
  readonly #health: HealthKeeper;
  readonly #direct: DirectWrites | undefined;

  #queue: PendingBatch[] = [];
  #flushing = false;
  #flushAgain = false;
  #current: Current | undefined;
  #nextNumber: number;
  /** Every segment up to this number was reported or is known to be gone. */
  #reportedNumber: number;
  readonly #closer: SegmentCloser;

  #adrift: WriteFault | undefined;
  /** Open or being closed when the folder went away; at most MAX_CLOSING and one. */
  #adriftSegments: LostSegment[] = [];
  #closing: Promise<void> | undefined;

  #watchTimer: Timer | undefined;

  /** Use openJsonWriter. */
  constructor(
    options: JsonWriterOptions,
    parts: JsonWriterParts,
    folder: JournalFolder,
    recovered: RecoveryReport,
  ) {
    this.#options = options;
    this.#fileSystem = parts.fileSystem;
    this.#clock = parts.clock;
    this.#events = parts.events;
    this.#folder = folder;
    this.#direct =
      options.directWrites === 'off'
        ? undefined
        : new DirectWrites(this.#clock, this.#fileSystem, parts.runs);
    this.#health = new HealthKeeper(
      this.#clock,
      () => this.#repair(),
      (health) => this.#events.onHealth(health),
    );
    this.#closer = new SegmentCloser({
      clock: this.#clock,
      mayWait: () => this.#adrift === undefined && this.#closing === undefined,
      onCutFault: (fault) => {
        this.#health.fail(fault);
        this.flush();
      },
    });
    this.#nextNumber = recovered.highestNumber + 1;
    this.#reportedNumber = recovered.highestNumber;
    this.#armWatch();
  }

  get health(): JournalHealth {
    return this.#health.health;
  }

  /** The segment that takes lines now, if one was begun. */
  get openSegment(): { readonly number: number; readonly file: string; readonly bytes: number } | undefined {
    const segment = this.#current?.segment;
    return segment && { number: segment.number, file: segment.file, bytes: segment.bytes };
  }

  /** Queues the batch; nothing happens before `flush`. */
  append(batch: AppendBatch, onDone: AppendDone): void {
    invariant(
      batch.lines > 0 && batch.bytes[batch.bytes.length - 1] === 0x0a,
      'a batch is one or more whole lines',
    );
    if (this.#closing !== undefined) onDone({ ok: false, code: 'CLOSED', message: 'the journal is closed' });
    else this.#queue.push({ batch, onDone });
  }

  /** Writes what is queued. Batches stay queued only while too many segments wait for the disk to close. */
  flush(): void {
    if (this.#flushing) {
      // Called from an answer that we are giving just now.
      this.#flushAgain = true;
      return;
    }
    this.#flushing = true;
    try {
      do {
        this.#flushAgain = false;
        this.#writeQueue();
      } while (this.#flushAgain);
    } finally {
      this.#flushing = false;
    }
  }

  /** Writes what is queued, makes it durable, closes the segment, unlocks the folder. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #writeQueue(): void {
    const queue = this.#queue;
    this.#queue = [];
    let at = 0;
    while (at < queue.length) {
      const refusal = this.#adrift ?? this.#closer.fault;
      if (refusal !== undefined) {
        refuseFrom(queue, at, refusal);
        return;
      }
      const cause = this.#rotationCause(queue[at]!.batch.bytes.length);
      if (cause !== undefined) this.#retire(cause);
      if (this.#closer.isCutPending || (this.#current === undefined && this.#closer.isFull)) {
        this.#queue = queue.slice(at).concat(this.#queue);
        return;
      }
      if (this.#current === undefined) {
        const fault = this.#begin();
        if (fault !== undefined) {
          refuseFrom(queue, at, fault);
          return;
        }
      }
      const group = nextGroup(queue, at, this.#current!.segment.bytes, this.#options.rotateBytes);
      at += group.length;
      const fault = this.#writeGroup(this.#current!, group);
      // Those behind would most likely meet the same fault: answer them now rather than after as many tries.
      if (fault !== undefined) {
        refuseFrom(queue, at, fault);
        return;
      }
    }
  }

  #writeGroup(current: Current, group: readonly PendingBatch[]): WriteFault | undefined {
    const { segment, syncer } = current;
    const bytesBefore = segment.bytes;
    const linesBefore = segment.lines;
    const startedMs = this.#clock.monotonicMs();
    const report = segment.append(group.map((pending) => pending.batch));
    const bytes = segment.bytes - bytesBefore;
    if (bytes > 0) {
      const durationMs = this.#clock.monotonicMs() - startedMs;
      this.#events.onWritten(bytes, segment.lines - linesBefore, durationMs);
    }
    let fault: WriteFault | undefined;
    if (report.removed) {
      fault = { code: 'SEGMENT_REMOVED', message: `the segment file ${segment.file} was removed` };
      syncer.abandon(fault);
      this.#retire('lost');
      this.#checkFolder();
    } else if (report.error !== undefined) {
      fault = writeFault('write', report.error);
      if (!report.usable) this.#retire('fault');
      this.#health.fail(fault);
    }
    if (this.#options.durability === 'synced') {
      for (let i = 0; i < report.kept; i++) syncer.wait(group[i]!.onDone);
      void syncer.start();
    } else {
      for (let i = 0; i < report.kept; i++) group[i]!.onDone({ ok: true });
      syncer.startLater(this.#options.syncIntervalMs);
    }
    if (fault !== undefined) refuseFrom(group, report.kept, fault);
    return fault;
  }

  #rotationCause(nextBytes: number): RotationCause | undefined {
    if (this.#current === undefined) return undefined;
    return rotationCause(this.#current.segment, nextBytes, this.#options, this.#clock);
  }

  #begin(): WriteFault | undefined {
    for (;;) {
      try {
        const start = {
          number: this.#nextNumber,
          startedAtMs: this.#clock.nowMs(),
          startedMonotonicMs: this.#clock.monotonicMs(),
        };
        const segment = OpenSegment.begin(this.#fileSystem, this.#folder.paths, start, this.#direct);
        this.#nextNumber++;
        const syncer = new SegmentSyncer(segment, this.#options.durability === 'synced', this.#clock, {
          onSynced: (durationMs, bytes) => this.#events.onSynced(durationMs, bytes),
          onSyncFailed: (fault) => {
            if (this.#current?.segment === segment) this.#retire('suspect');
            this.#health.fail(fault);
          },
        });
        this.#current = { segment, syncer };
        this.#events.onSegmentOpened({ number: segment.number, file: segment.file });
        this.#armWatch();
        return undefined;
      } catch (error) {
        if (systemErrorCode(error) === 'EEXIST') {
          // Somebody put a file of that name there; it keeps its number.
          this.#nextNumber++;
          continue;
        }
        const fault = writeFault('begin a segment', error);
        this.#health.fail(fault);
        this.#checkFolder();
        return this.#adrift ?? fault;
      }
    }
  }

  /** The current segment takes no more. */
  #retire(cause: RetireCause): void {
    const { segment, syncer } = this.#current!;
    this.#current = undefined;
    this.#closer.close(segment, syncer, (report) => this.#finished(segment, cause, report));
  }

  #finished(segment: OpenSegment, cause: RetireCause, { closed, faults }: FinishReport): void {
    const { number, file, bytes, lines } = segment;
    const gone = closed === undefined && bytes > 0;
    // Is it the file that is gone, or the whole folder?
    if (gone && this.#adrift === undefined) this.#checkFolder();
    if (cause === 'adrift' || (gone && this.#adrift !== undefined)) {
      // If the folder comes back with it, recovery reports it.
      this.#adriftSegments.push({ number, file, lines, bytes });
    } else {
      this.#reportedNumber = number;
      if (closed !== undefined) this.#events.onSegmentClosed(closed, cause);
      else this.#reportGone({ number, file, lines, bytes });
      for (const { operation, error } of faults) this.#health.fail(writeFault(operation, error));
    }
    if (this.#queue.length > 0) this.flush();
  }

  #reportGone(segment: LostSegment): void {
    if (segment.bytes > 0) this.#events.onSegmentLost(segment);
    else this.#events.onSegmentEmpty(segment);
  }

  #armWatch(): void {
    this.#watchTimer?.cancel();
    if (this.#closing !== undefined) return;
    let delayMs = WATCH_INTERVAL_MS;
    if (this.#current !== undefined) {
      delayMs = Math.min(delayMs, untilBoundaryMs(this.#clock.nowMs(), this.#options.rotateIntervalMs));
    }
    this.#watchTimer = this.#clock.setTimer(delayMs, () => {
      if (this.#adrift === undefined) this.#checkFolder();
      const cause = this.#rotationCause(0);
      if (cause !== undefined) this.#retire(cause);
      this.#armWatch();
    });
  }

  #checkFolder(): void {
    try {
      const fault = this.#folder.check();
      if (fault !== undefined) {
        this.#adrift = fault;
        this.#closer.giveUp();
        if (this.#current !== undefined) this.#retire('adrift');
        this.#health.fail(fault, 0);
      } else if (this.#current !== undefined && !this.#current.segment.isNamed()) {
        this.#retire('lost');
      }
    } catch (error) {
      this.#health.fail(writeFault('check the folder', error));
    }
  }

  /** For the health keeper: is the disk as it should be? Throws what stands in the way. */
  async #repair(): Promise<WriteFault | undefined> {
    if (this.#adrift !== undefined) {
      this.#adrift = await this.#reattach(this.#adrift);
      if (this.#adrift !== undefined) return this.#adrift;
    }
    await probeDisk(this.#fileSystem, this.#folder.paths.journalFolder);
    return await this.#closer.retry();
  }

  /** Takes up the folder again if it is back. Answers why not, or undefined when it was taken up. */
  async #reattach(before: WriteFault): Promise<WriteFault | undefined> {
    // Until the segments we had open there are closed, recovery must not touch them.
    await this.#closer.idle;
    try {
      const refusal = await this.#folder.takeUpAgain();
      if (refusal !== undefined) return refusal;
      const now = this.#clock.nowMs();
      const report = await recoverJournal(this.#fileSystem, this.#folder.paths, this.#reportedNumber, now);
      this.#nextNumber = Math.max(this.#nextNumber, report.highestNumber + 1);
      this.#reportedNumber = this.#nextNumber - 1;
      this.#events.onRecovered(report);
      for (const { closed } of report.segments) this.#events.onSegmentClosed(closed, 'recovered');
      const found = new Set(report.segments.map(({ closed }) => closed.number));
      for (const segment of this.#adriftSegments.splice(0)) {
        if (!found.has(segment.number)) this.#reportGone(segment);
      }
      return undefined;
    } catch (error) {
      return writeFault(`take up the folder again (${before.message})`, error);
    }
  }

  async #close(): Promise<void> {
    // The await lets close() store its promise, so that the watch is not armed again.
    await this.#health.stop();
    this.#watchTimer?.cancel();
    await this.#closer.retry();
    this.flush();
    this.#closer.giveUp();
    while (this.#queue.length > 0) await this.#closer.idle;
    if (this.#current !== undefined) this.#retire('close');
    await this.#closer.idle;
    await this.#folder.release();
  }
}
