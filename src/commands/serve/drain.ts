/**
 * The drain: the ordered stop.
 *
 *   serving ─signal─▶ leaving ─DRAIN_DELAY─▶ finishing ─calls answered─▶ flushing ─writer answered─▶
 *     closing the journal (sync, last segment) ─▶ archiving (sha256, manifest) ─▶ done
 *
 * DRAIN_TIMEOUT runs from the end of the delay over all later steps together. When it runs out, the
 * step under way is named as left, those after it are not begun, and the exit is non-zero.
 *
 * Invariant: what others do cannot keep our own work from being done. A step that fails before the time is
 * up does not stop those after it, and one that waits for others leaves time for them: a client that never
 * finishes its call must not cost the readings that were acknowledged before they were written.
 */
import type { Clock } from '../../base/clock.ts';
import { formatDurationMs } from '../../base/duration.ts';
import { errorMessage } from '../../base/errors.ts';

/** What a step that waits for others leaves to those after it: half of the time, and not more than this. */
const KEPT_FOR_LATER_STEPS_MS = 5000;

export interface DrainStep {
  readonly name: string;
  /** It depends on others (clients) and is told a shorter time. */
  readonly waitsForOthers?: boolean;
  /** Resolves when the step is complete. `leftMs`: how long it may take. */
  run(leftMs: number): Promise<void>;
}

export interface DrainResult {
  readonly complete: boolean;
  readonly tookMs: number;
  /** The steps that failed or did not end in time, and why. */
  readonly left: readonly { readonly step: string; readonly reason: string }[];
}

const TIMED_OUT = Symbol('timed out');

export async function drain(
  steps: readonly DrainStep[],
  timeoutMs: number,
  clock: Clock,
): Promise<DrainResult> {
  const startMs = clock.monotonicMs();
  let onTimeout: (value: typeof TIMED_OUT) => void = () => {};
  const timedOut = new Promise<typeof TIMED_OUT>((resolve) => {
    onTimeout = resolve;
  });
  const timer = clock.setTimer(timeoutMs, () => onTimeout(TIMED_OUT));
  const left: { step: string; reason: string }[] = [];
  try {
    for (const { name, waitsForOthers, run } of steps) {
      const restMs = timeoutMs - (clock.monotonicMs() - startMs);
      const keptMs = waitsForOthers === true ? Math.min(KEPT_FOR_LATER_STEPS_MS, restMs / 2) : 0;
      try {
        if ((await Promise.race([run(restMs - keptMs), timedOut])) === TIMED_OUT) {
          left.push({ step: name, reason: `not done within DRAIN_TIMEOUT (${formatDurationMs(timeoutMs)})` });
          break;
        }
      } catch (error) {
        left.push({ step: name, reason: errorMessage(error) });
      }
    }
    return { complete: left.length === 0, tookMs: clock.monotonicMs() - startMs, left };
  } finally {
    timer.cancel();
  }
}
