/**
 * Gathers what the writer did and reports it a few times a second: a message to the main thread per
 * write would cost as much as the write.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { ProducersState } from '../../observe/daemon-state.ts';
import type { OpenSegmentReport, WriterActivity } from './journal-events.ts';

const REPORT_INTERVAL_MS = 250;

export class WriterActivityLog {
  readonly #clock: Clock;
  readonly #producers: () => ProducersState;
  readonly #report: (activity: WriterActivity) => void;
  #writes: number[] = [];
  #syncsMs: number[] = [];
  #unsyncedBytes = 0;
  #open: { number: number; file: string; startedAtMs: number; bytes: number; lines: number } | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, producers: () => ProducersState, report: (activity: WriterActivity) => void) {
    this.#clock = clock;
    this.#producers = producers;
    this.#report = report;
  }

  opened(number: number, file: string): void {
    this.#open = { number, file, startedAtMs: this.#clock.nowMs(), bytes: 0, lines: 0 };
    this.#due();
  }

  /** A segment was closed or lost; it need not be the one that takes lines now. */
  ended(number: number): void {
    if (this.#open?.number === number) this.#open = undefined;
    this.#due();
  }

  written(bytes: number, lines: number, durationMs: number): void {
    this.#writes.push(bytes, lines, durationMs);
    this.#unsyncedBytes += bytes;
    if (this.#open !== undefined) {
      this.#open.bytes += bytes;
      this.#open.lines += lines;
    }
    this.#due();
  }

  synced(durationMs: number, bytesDurable: number): void {
    this.#syncsMs.push(durationMs);
    this.#unsyncedBytes = Math.max(0, this.#unsyncedBytes - bytesDurable);
    this.#due();
  }

  /** Reports what is gathered now. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const openSegment: OpenSegmentReport | undefined = this.#open && { ...this.#open };
    this.#report({
      writes: this.#writes,
      syncsMs: this.#syncsMs,
      openSegment,
      unsyncedBytes: this.#unsyncedBytes,
      producers: this.#producers(),
    });
    this.#writes = [];
    this.#syncsMs = [];
  }

  /** Something happened that only the counts of producers tell. */
  due(): void {
    this.#due();
  }

  #due(): void {
    this.#timer ??= this.#clock.setTimer(REPORT_INTERVAL_MS, () => this.flush());
  }
}
