/**
 * Makes one segment durable, one sync at a time, while appends to it go on; and, where acknowledgements
 * wait for the disk, says when.
 *
 *            start()                 sync ok, more waiting
 *   idle ─────────────▶ syncing ──────────────────┐
 *    ▲                    │  ▲                     │
 *    └──── sync ok ───────┤  └─────────────────────┘
 *                         │ sync failed, or the file was removed
 *                         ▼
 *                       failed   (final: the segment takes no more and is never synced again)
 *
 * Invariants:
 * 1. What is acknowledged after a sync was written before that sync began.
 * 2. After a failed sync nothing of this segment is synced or acknowledged any more: the kernel may have
 *    dropped the unwritten pages and report success next time.
 * 3. With acknowledgements waiting for syncs, a failed one takes the segment back to the last good one
 *    BEFORE anybody is told, so no refused line stays among the valid bytes.
 * 4. Positive acknowledgements go out in the order of the `wait` calls.
 */
import { MiB } from '../base/byte-size.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { OpenSegment } from './open-segment.ts';
import type { AppendDone, WriteFault } from './write-fault.ts';
import { writeFault } from './write-fault.ts';

/**
 * Where nobody waits for it, a sync begins once so much is unsynced, however far SYNC_INTERVAL is: what many megabytes
 * take to be written back, all writes behind them wait (docs/decisions/0123). Less gains nothing more.
 */
const SYNC_AHEAD_BYTES = 4 * MiB;

export interface SyncEvents {
  onSynced(durationMs: number, bytes: number): void;
  onSyncFailed(fault: WriteFault): void;
}

export class SegmentSyncer {
  readonly #segment: OpenSegment;
  readonly #clock: Clock;
  readonly #events: SyncEvents;
  /** Whether acknowledgements wait here; decides what a failed sync costs. */
  readonly #acknowledges: boolean;
  #waiting: AppendDone[] = [];
  #running: Promise<void> | undefined;
  #failure: WriteFault | undefined;
  #timer: Timer | undefined;
  #draining = false;

  constructor(segment: OpenSegment, acknowledges: boolean, clock: Clock, events: SyncEvents) {
    this.#segment = segment;
    this.#acknowledges = acknowledges;
    this.#clock = clock;
    this.#events = events;
  }

  get failure(): WriteFault | undefined {
    return this.#failure;
  }

  /** `onDone` follows the first sync that begins from now on. */
  wait(onDone: AppendDone): void {
    this.#waiting.push(onDone);
  }

  /** Begins a sync if there is something to sync; one that is running already leads to the next by itself. */
  start(): Promise<void> {
    if (this.#running === undefined && this.#failure === undefined && this.#segment.unsyncedBytes > 0) {
      this.#running = this.#run();
    }
    return this.#running ?? Promise.resolve();
  }

  /** Begins a sync after a while, or once there is much to sync, and again, as long as something is unsynced. */
  startLater(delayMs: number): void {
    const { unsyncedBytes } = this.#segment;
    if (this.#draining || this.#failure !== undefined || unsyncedBytes === 0) return;
    if (unsyncedBytes >= SYNC_AHEAD_BYTES) void this.start();
    if (this.#timer !== undefined) return;
    this.#timer = this.#clock.setTimer(delayMs, () => {
      // The sidecar is brought up to date at the same pace: after a crash only what follows is read line by line.
      this.#segment.endBlock();
      void this.start().then(() => {
        this.#timer = undefined;
        this.startLater(delayMs);
      });
    });
  }

  /** For a segment that takes no more. Syncs all that was written; resolves, without rejecting, once no sync runs any more. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#timer?.cancel();
    await this.#running;
    // What was written while the last sync ran and nobody waits for.
    await this.start();
  }

  /** The lines are gone or in doubt: nobody waiting is acknowledged. A sync that runs is waited for by `drain`. */
  abandon(fault: WriteFault): void {
    this.#failure ??= fault;
    this.#refuse(this.#waiting);
  }

  async #run(): Promise<void> {
    do {
      const waiting = this.#waiting;
      this.#waiting = [];
      const startedMs = this.#clock.monotonicMs();
      try {
        const bytes = await this.#segment.sync(this.#acknowledges && this.#failure === undefined);
        this.#events.onSynced(this.#clock.monotonicMs() - startedMs, bytes);
      } catch (error) {
        this.#failure ??= writeFault('sync the segment', error);
        if (this.#acknowledges) this.#segment.revertToDurable();
        this.#running = undefined;
        this.#refuse(waiting);
        this.#refuse(this.#waiting);
        this.#events.onSyncFailed(this.#failure);
        return;
      }
      if (this.#failure !== undefined) this.#refuse(waiting);
      else for (const onDone of waiting) onDone({ ok: true });
    } while (this.#waiting.length > 0 && this.#failure === undefined);
    this.#running = undefined;
  }

  #refuse(waiting: AppendDone[]): void {
    const fault = this.#failure!;
    for (const onDone of waiting.splice(0)) {
      onDone({ ok: false, code: fault.code, message: fault.message });
    }
  }
}
