/**
 * The receive window of one stream of requests. Near the daemon it stays as it begins: there it is never the limit, and what
 * would come beyond it had to be held. On a long way it grows to twice what arrives in a round trip, which doubles it
 * each round trip until something else is the limit (the bandwidth-delay product).
 *
 *   arrived in a round trip:  256 KiB ─▶ window 512 KiB ─▶ 512 KiB ─▶ window 1 MiB ... MAX_STREAM_WINDOW_BYTES
 *
 * Invariant: it never shrinks, so what was granted is never taken back (RFC 9113 6.9 knows no such thing).
 */
import { LONG_ROUND_TRIP_MS, MAX_STREAM_WINDOW_BYTES, STREAM_WINDOW_BYTES } from './limits.ts';

export class StreamWindow {
  #bytes = STREAM_WINDOW_BYTES;
  readonly #roundTripMs: number;
  #sinceMs: number;
  #arrivedBytes = 0;

  constructor(roundTripMs: number, nowMs: number) {
    this.#roundTripMs = roundTripMs;
    this.#sinceMs = nowMs;
  }

  static isWorthIt(roundTripMs: number | undefined): roundTripMs is number {
    return roundTripMs !== undefined && roundTripMs >= LONG_ROUND_TRIP_MS;
  }

  /** Returns by how much the window grows: mostly 0. */
  arrived(bytes: number, nowMs: number): number {
    this.#arrivedBytes += bytes;
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < this.#roundTripMs) return 0;
    const wantedBytes = Math.floor((2 * this.#arrivedBytes * this.#roundTripMs) / elapsedMs);
    this.#sinceMs = nowMs;
    this.#arrivedBytes = 0;
    const grownBytes = Math.min(wantedBytes, MAX_STREAM_WINDOW_BYTES) - this.#bytes;
    if (grownBytes <= 0) return 0;
    this.#bytes += grownBytes;
    return grownBytes;
  }
}
