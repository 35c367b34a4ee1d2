/**
 * The drain: the ordered stop.
 *
 *   serving ─signal─▶ leaving ─DRAIN_DELAY─▶ finishing ─calls answered─▶ flushing ─writer answered─▶
 *     closing the journal (sync, last segment) ─▶ archiving (sha256, manifest) ─▶ done
 *
 * DRAIN_TIMEOUT runs from the end of the delay over all later steps together. When it runs out, the
 * step under way and those after it are named as left, and the exit is non-zero.
 */
import type { Clock } from '../../base/clock.ts';

export interface DrainStep {
  readonly name: string;
  /** Resolves when the step is complete. `leftMs` is what remains of DRAIN_TIMEOUT. */
  run(leftMs: number): Promise<void>;
}

export interface DrainResult {
  readonly complete: boolean;
  readonly tookMs: number;
  /** The step that did not end in time or failed, and why. */
  readonly stoppedAt?: { readonly step: string; readonly reason: string };
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
  try {
    for (const step of steps) {
      const leftMs = timeoutMs - (clock.monotonicMs() - startMs);
      let reason: string | undefined;
      try {
        if ((await Promise.race([step.run(leftMs), timedOut])) === TIMED_OUT) {
          reason = `not done within DRAIN_TIMEOUT (${timeoutMs}ms)`;
        }
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
      if (reason !== undefined) {
        return {
          complete: false,
          tookMs: clock.monotonicMs() - startMs,
          stoppedAt: { step: step.name, reason },
        };
      }
    }
    return { complete: true, tookMs: clock.monotonicMs() - startMs };
  } finally {
    timer.cancel();
  }
}
