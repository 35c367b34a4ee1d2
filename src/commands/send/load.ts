/**
 * What the command needs of a load, whether one thread carries it (local-load.ts) or several
 * (threaded-load.ts): connect, then run, then read the figures.
 */
import type { Counters } from './counters.ts';
import type { LatencyHistogram } from './latency.ts';

export interface LoadResult {
  readonly counters: Counters;
  readonly latency: LatencyHistogram;
  readonly attemptLatency: LatencyHistogram;
  /** Why it ended before everything was sent; undefined when it did not. */
  readonly endedEarly: string | undefined;
}

export interface Load {
  /** Readings there will be in total, where that is known. */
  readonly totalReadings: number | undefined;
  connect(): Promise<void>;
  run(): Promise<LoadResult>;
  /** Ends gracefully; `run` then resolves soon. */
  stop(reason: string): void;
  /** Drops everything that is open. */
  close(): void;
  counters(): Counters;
  /** Adds the latencies since the last call to `into`. */
  takeRecentLatency(into: LatencyHistogram): void;
}
