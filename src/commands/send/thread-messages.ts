/** What the main thread and the load threads of `send` say to each other. */
import type { Counters } from './counters.ts';
import type { LoadPlan } from './plan.ts';

export interface LoadThreadData {
  readonly plan: LoadPlan;
  readonly thread: number;
  readonly threads: number;
}

export type ToLoadThread =
  | { readonly kind: 'run'; readonly startMs: number }
  | { readonly kind: 'stop'; readonly reason: string };

/** Histograms travel encoded. */
export type FromLoadThread =
  | { readonly kind: 'waiting'; readonly target: string }
  | { readonly kind: 'connected' }
  | { readonly kind: 'failed'; readonly code: 'SEND_FAILED' | 'USAGE'; readonly message: string }
  | { readonly kind: 'progress'; readonly counters: Counters; readonly recentLatency: string | undefined }
  | {
      readonly kind: 'done';
      readonly counters: Counters;
      readonly latency: string;
      readonly attemptLatency: string;
      readonly endedEarly: string | undefined;
    };
