/**
 * Closes the segments that take no more, beside the append path and in their order: syncs each, sees to it that the disk has
 * its end, and finishes it.
 *
 *                                  ok
 *   close() ─▶ drained ─▶ cutting ──────▶ finished, told
 *                          │  ▲              ▲
 *                    fault ▼  │ retry()      │ MAX_CUT_ATTEMPTS, or giveUp() and `mayWait` says no
 *                         failing ───────────┘ then the archiver goes on trying (write-again.ts)
 *
 * Invariants:
 * 1. While a segment was cut back and the disk may not have the cut, the writer takes no lines (`isCutPending`, then `fault`).
 *    A power cut would bring back what was cut off; whoever was refused has sent it again, and it would be there twice.
 * 2. Only one segment is at work behind `drained`, so at most one is failing, and those behind it wait.
 * 3. Nothing waits here for a cut once `mayWait` says no and `giveUp` was called.
 */
import type { Clock } from '../base/clock.ts';
import type { FinishReport, OpenSegment } from './open-segment.ts';
import type { SegmentSyncer } from './segment-syncer.ts';
import type { WriteFault } from './write-fault.ts';
import { writeFault } from './write-fault.ts';

/** Each holds two descriptors and some unsynced data; a disk this far behind has to catch up first. */
const MAX_CLOSING = 8;
/**
 * One file that takes no cut while the disk takes probes, a second apart, is stranger than a failing disk (a descriptor gone
 * stale on a network file system): that does not stop the intake for good.
 */
const MAX_CUT_ATTEMPTS = 10;

export interface SegmentCloserParts {
  readonly clock: Clock;
  /** Whether a segment may stay open until its cut works. */
  mayWait(): boolean;
  /** A cut failed: `retry` is due once the disk is better. */
  onCutFault(fault: WriteFault): void;
}

export class SegmentCloser {
  readonly #parts: SegmentCloserParts;
  readonly #closing = new Set<OpenSegment>();
  #closed: Promise<void> = Promise.resolve();
  #fault: WriteFault | undefined;
  /** Of the cut that failed and waits. */
  #resume: ((isRetry: boolean) => void) | undefined;
  /** Of the retry that was asked for. */
  #answer: ((fault: WriteFault | undefined) => void) | undefined;

  constructor(parts: SegmentCloserParts) {
    this.#parts = parts;
  }

  /** `onFinished` is called in the order of these calls. */
  close(segment: OpenSegment, syncer: SegmentSyncer, onFinished: (report: FinishReport) => void): void {
    this.#closing.add(segment);
    const drained = syncer.drain();
    this.#closed = this.#closed.then(async () => {
      await drained;
      if (!segment.isEndSure) await this.#cut(segment);
      const report = await segment.finish(this.#parts.clock.nowMs(), syncer.failure !== undefined);
      this.#closing.delete(segment);
      onFinished(report);
    });
  }

  /** No segment may be begun before the next one is finished. */
  get isFull(): boolean {
    return this.#closing.size >= MAX_CLOSING;
  }

  /** Lines have to wait until that is over, or `fault` says why not. */
  get isCutPending(): boolean {
    for (const { isEndSure } of this.#closing) if (!isEndSure) return true;
    return false;
  }

  /** Why no lines may be taken, from the first attempt that fails to the next that works. */
  get fault(): WriteFault | undefined {
    return this.#fault;
  }

  /** Resolves once those taken over by now are finished. */
  get idle(): Promise<void> {
    return this.#closed;
  }

  /** All attempts are made here, one after the other: `finish` must not close the file under one of them. */
  async #cut(segment: OpenSegment): Promise<void> {
    if (!this.#parts.mayWait()) return;
    for (let attempts = 1; ; attempts++) {
      const fault = await attempt(segment);
      const isOver = fault === undefined || attempts === MAX_CUT_ATTEMPTS;
      this.#fault = isOver ? undefined : fault;
      this.#answer?.(this.#fault);
      this.#answer = undefined;
      if (isOver) return;
      if (attempts === 1) this.#parts.onCutFault(fault);
      if (!this.#parts.mayWait()) return;
      const isRetry = await new Promise<boolean>((resume) => {
        this.#resume = resume;
      });
      if (!isRetry) return;
    }
  }

  /** Tries the cut that failed again. Answers why it failed again. */
  async retry(): Promise<WriteFault | undefined> {
    if (this.#resume === undefined) {
      this.#fault = undefined;
      return undefined;
    }
    const answer = new Promise<WriteFault | undefined>((resolve) => {
      this.#answer = resolve;
    });
    this.#goOn(true);
    return await answer;
  }

  /** What is failing and waits is finished as it is. */
  giveUp(): void {
    this.#goOn(false);
  }

  #goOn(isRetry: boolean): void {
    this.#resume?.(isRetry);
    this.#resume = undefined;
  }
}

async function attempt(segment: OpenSegment): Promise<WriteFault | undefined> {
  try {
    await segment.settleEnd();
    return undefined;
  } catch (error) {
    return writeFault('cut the segment', error);
  }
}
