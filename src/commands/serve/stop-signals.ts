/**
 * SIGTERM and SIGINT: the first asks for a drain, a second one stops at once.
 *
 * A second signal counts only from `debounceMs` after the first: Ctrl-C under `npm start` reaches us
 * twice, once from the terminal's process group and once handed on by npm.
 */
import type { Clock } from '../../base/clock.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
export const SECOND_SIGNAL_DEBOUNCE_MS = 1000;

export interface StopSignals {
  /** Goes back to the default handling. */
  release(): void;
}

export function onStopSignals(
  emitter: Pick<NodeJS.Process, 'on' | 'off' | 'listeners'>,
  clock: Clock,
  handlers: { readonly onFirst: (signal: string) => void; readonly onSecond: (signal: string) => void },
): StopSignals {
  let firstAtMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    const nowMs = clock.monotonicMs();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      handlers.onFirst(signal);
    } else if (nowMs - firstAtMs >= SECOND_SIGNAL_DEBOUNCE_MS) {
      handlers.onSecond(signal);
    }
  };
  for (const signal of SIGNALS) {
    // Who listened before us (bin/telemetry-sink.js) would exit without a drain. Ours first: with no listener
    // at all for a moment, a signal that has come but is not told yet would be forgotten.
    const earlier = emitter.listeners(signal) as NodeJS.SignalsListener[];
    emitter.on(signal, onSignal);
    for (const listener of earlier) emitter.off(signal, listener);
  }
  return {
    release: () => {
      for (const signal of SIGNALS) emitter.off(signal, onSignal);
    },
  };
}
