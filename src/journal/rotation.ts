/**
 * When a new segment begins.
 *
 * Invariants:
 * 1. An empty segment is never rotated, so a batch larger than ROTATE_BYTES gets a segment of its own.
 * 2. By the wall clock: at each multiple of the interval since the epoch (UTC), when the clock has moved
 *    past the one that ends the segment's interval.
 * 3. A clock that jumps back neither rotates at once (it may cross the same boundary again and again)
 *    nor keeps a segment open for ever: the monotonic clock bounds its life to one interval.
 */
import type { Clock } from '../base/clock.ts';

export interface RotationLimits {
  readonly rotateBytes: number;
  /** 0: off. */
  readonly rotateIntervalMs: number;
}

export interface RotationSubject {
  readonly bytes: number;
  readonly startedAtMs: number;
  readonly startedMonotonicMs: number;
}

export type RotationCause = 'size' | 'interval';

export function rotationCause(
  segment: RotationSubject,
  nextBytes: number,
  limits: RotationLimits,
  clock: Clock,
): RotationCause | undefined {
  if (segment.bytes === 0) return undefined;
  if (segment.bytes + nextBytes > limits.rotateBytes) return 'size';
  const intervalMs = limits.rotateIntervalMs;
  if (intervalMs === 0) return undefined;
  const interval = Math.floor(clock.nowMs() / intervalMs);
  if (interval > Math.floor(segment.startedAtMs / intervalMs)) return 'interval';
  return clock.monotonicMs() - segment.startedMonotonicMs >= intervalMs ? 'interval' : undefined;
}

/** Until the next multiple of the interval; Infinity when off. Always more than 0. */
export function untilBoundaryMs(nowMs: number, intervalMs: number): number {
  return intervalMs === 0 ? Number.POSITIVE_INFINITY : intervalMs - (nowMs % intervalMs);
}
