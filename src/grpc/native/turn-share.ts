/**
 * How much of its thread a connection takes. A turn of the event loop gives each socket that has something its read; what
 * comes back to back belongs to one turn.
 *
 *               ┌──far more work than requests make, or calls in vain──▶ dear ──neither──┐
 *   watched ────┤                                                                        ▼
 *      ▲        └──neither────────────────────────────────────────────────────────▶ ordinary
 *      └──────────────────────looks like that much work───────────────────────────────┘
 *
 * Whoever is watched, as every connection is at first, is worked off in slices, so that not even the first read of an
 * attacker takes long, and by the CPU time that it costs. Ordinary ones are timed by the clock on the wall, which costs
 * next to nothing; but what another thread on the same core took looks like work to it, so it makes nobody dear
 * (docs/decisions/0057).
 */
import type { Clock } from '../../base/clock.ts';
import type { Caller } from '../caller.ts';
import type { DearLimit } from './dear-limit.ts';
import { DEAR_LEAST_MS, DEAR_TURN_SHARE_MS, HOPELESS_CALLS, TURN_GAP_MS, TURN_SHARE_MS } from './limits.ts';
import { READ_BUFFER_BYTES } from './shared-reads.ts';

export class TurnShare {
  state: 'watched' | 'ordinary' | 'dear' = 'watched';
  /** What the last chunk took: CPU time, but of an ordinary connection. */
  workedMs = 0;
  /** Of the turn, and of the chunk. */
  #turnSinceMs = 0;
  #chunkSinceMs = 0;
  #chunkCpuSinceMs = 0;
  #untilMs = 0;
  #weighedMs = 0;
  #weighedBytes = 0;
  readonly #dearLimit: DearLimit;

  constructor(dearLimit: DearLimit) {
    this.#dearLimit = dearLimit;
  }

  /** A chunk is about to be worked off. */
  begin(nowMs: number, clock: Clock): void {
    if (nowMs - this.#untilMs > TURN_GAP_MS) this.#turnSinceMs = nowMs;
    this.#chunkSinceMs = nowMs;
    if (this.state !== 'ordinary') this.#chunkCpuSinceMs = clock.threadCpuMs();
  }

  /** Asked between the slices of a chunk: it has had `allowedMs` of this turn. */
  isUsedUp(nowMs: number, allowedMs: number): boolean {
    return nowMs - (this.state === 'dear' ? this.#chunkSinceMs : this.#turnSinceMs) > allowedMs;
  }

  /** So much of the chunk was worked off. True when the others are to have their turn first. */
  end(clock: Clock, workedBytes: number, caller: Caller): boolean {
    const nowMs = clock.monotonicMs();
    this.#untilMs = nowMs;
    const isOrdinary = this.state === 'ordinary';
    this.workedMs = isOrdinary ? nowMs - this.#chunkSinceMs : clock.threadCpuMs() - this.#chunkCpuSinceMs;
    this.#weigh(workedBytes, caller);
    return nowMs - this.#turnSinceMs > (isOrdinary ? TURN_SHARE_MS : DEAR_TURN_SHARE_MS);
  }

  /** The next chunk begins a turn, however soon it comes. */
  renew(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  #weigh(workedBytes: number, caller: Caller): void {
    this.#weighedMs += this.workedMs;
    this.#weighedBytes += workedBytes + caller.grownBytes;
    caller.grownBytes = 0;
    // What is short and quick says nothing.
    if (this.#weighedMs < DEAR_LEAST_MS && this.#weighedBytes < READ_BUFFER_BYTES) return;
    const isInVain = caller.hopelessCalls + caller.wastedCalls > caller.fineCalls;
    const isHopeless = caller.hopelessCalls > HOPELESS_CALLS || isInVain;
    const isMuch = !isHopeless && this.#dearLimit.isBeyond(this.#weighedMs, this.#weighedBytes);
    if (this.state === 'ordinary' && isMuch) {
      this.state = 'watched';
      this.#weighedMs = 0;
      this.#weighedBytes = 0;
      return;
    }
    this.state = isHopeless || isMuch ? 'dear' : 'ordinary';
    // The past counts half.
    this.#weighedMs /= 2;
    this.#weighedBytes /= 2;
    caller.hopelessCalls /= 2;
    caller.wastedCalls /= 2;
    caller.fineCalls /= 2;
  }
}
