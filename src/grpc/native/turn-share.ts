/**
 * How much of its thread a connection takes, and how many turns it sits out for that. A turn of the event loop gives each
 * socket that has something its read; what comes back to back belongs to one turn.
 *
 *   ordinary ──2 ms of work in 64 KiB, or hopeless calls──▶ dear ──neither──▶ ordinary
 *     │                                                       │
 *     └── TURN_SHARE_MS, then one turn out                    └── DEAR_TURN_SHARE_MS, then as many out as it took
 *
 * By the clock on the wall, so what another thread on the same core took looks like work: that is why only who is dear
 * has debts (docs/decisions/0057).
 */
import type { Caller } from '../caller.ts';
import { DEAR_TURN_SHARE_MS, HOPELESS_CALLS, TURN_GAP_MS, TURN_SHARE_MS } from './limits.ts';
import { READ_BUFFER_BYTES } from './shared-reads.ts';

export class TurnShare {
  /** Its bytes make more work than those of requests do, more than a turn's share in one read; or work for nothing. */
  isDear = false;
  /** Of the turn, and of the chunk. */
  #turnSinceMs = 0;
  #chunkSinceMs = 0;
  #untilMs = 0;
  #weighedMs = 0;
  #weighedBytes = 0;

  /** A chunk is about to be worked off. */
  begin(nowMs: number): void {
    if (nowMs - this.#untilMs > TURN_GAP_MS) this.#turnSinceMs = nowMs;
    this.#chunkSinceMs = nowMs;
  }

  /** Asked between the slices of a chunk, where it is dear. */
  isUsedUp(nowMs: number): boolean {
    return nowMs - this.#turnSinceMs > DEAR_TURN_SHARE_MS;
  }

  /** So much of the chunk was worked off. Returns the turns to sit out: mostly none. */
  end(nowMs: number, workedBytes: number, caller: Caller): number {
    this.#untilMs = nowMs;
    this.#weigh(nowMs - this.#chunkSinceMs, workedBytes, caller);
    const busyMs = nowMs - this.#turnSinceMs;
    return this.isDear ? Math.floor(busyMs / DEAR_TURN_SHARE_MS) : Number(busyMs > TURN_SHARE_MS);
  }

  /** The next chunk begins a turn, however soon it comes. */
  renew(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  #weigh(workedMs: number, workedBytes: number, caller: Caller): void {
    this.#weighedMs += workedMs;
    this.#weighedBytes += workedBytes;
    // What is short and quick says nothing.
    if (this.#weighedMs < TURN_SHARE_MS && this.#weighedBytes < READ_BUFFER_BYTES) return;
    this.isDear =
      caller.hopelessCalls > HOPELESS_CALLS ||
      this.#weighedMs * READ_BUFFER_BYTES > TURN_SHARE_MS * this.#weighedBytes;
    // The past counts half.
    this.#weighedMs /= 2;
    this.#weighedBytes /= 2;
    caller.hopelessCalls /= 2;
  }
}
