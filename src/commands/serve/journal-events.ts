/** What the two journal threads are started with, and what they tell the main thread. Plain data: it is cloned. */
import type { MessagePort } from 'node:worker_threads';
import type { ArchiverFault, ArchiverOptions, ArchiverStats } from '../../journal/archiver.ts';
import type { JournalHealth } from '../../journal/journal-health.ts';
import type { JsonWriterOptions, LostSegment, RetireCause } from '../../journal/json-writer-events.ts';
import type { ProducerGateOptions } from '../../journal/producers/producer-gate.ts';
import type { ProducersPage, ProducersQuestion } from '../../journal/producers/producers-page.ts';
import type { ProducersState } from '../../observe/daemon-state.ts';
import type { EventLoopReport } from '../../observe/event-loop-delay.ts';
import type { DrainedChannel } from '../../pipeline/channel-receiver.ts';

export interface WriterData {
  readonly options: JsonWriterOptions;
  readonly producers: ProducerGateOptions;
  /** Closed segments go out here, straight to the archiver; of a suspect one its number comes back when it is settled. */
  readonly segments: MessagePort;
}

/** `id` is that of a life of an ingest thread. */
export type WriterCommand =
  /** Batches come in here, results go out. */
  | { readonly kind: 'connect'; readonly id: number; readonly batches: MessagePort }
  /** Takes what has come from it, and no more. */
  | { readonly kind: 'disconnect'; readonly id: number }
  /** `id` comes back with the answer. */
  | { readonly kind: 'producers'; readonly id: number; readonly question: ProducersQuestion };

export interface ArchiverData {
  readonly options: ArchiverOptions;
  readonly segments: MessagePort;
}

export interface RecoverySummary {
  readonly segments: number;
  readonly lines: number;
  readonly tornBytes: number;
  /** One line per torn segment, for the log. */
  readonly torn: readonly string[];
}

/** The segment that takes lines, as far as the main thread shows it. */
export interface OpenSegmentReport {
  readonly number: number;
  readonly file: string;
  readonly startedAtMs: number;
  readonly bytes: number;
  readonly lines: number;
}

export type WriterEvent =
  | { readonly kind: 'health'; readonly health: JournalHealth }
  | { readonly kind: 'recovered'; readonly recovery: RecoverySummary }
  | { readonly kind: 'segmentOpened' }
  | { readonly kind: 'segmentClosed'; readonly cause: RetireCause | 'recovered'; readonly suspect: boolean }
  | { readonly kind: 'segmentLost'; readonly segment: LostSegment }
  /** The far end of a channel closed or died, and all that it sent is answered. */
  | { readonly kind: 'channelDrained'; readonly id: number; readonly channel: DrainedChannel }
  | { readonly kind: 'activity'; readonly activity: WriterActivity }
  | { readonly kind: 'producers'; readonly id: number; readonly page: ProducersPage }
  /** What went wrong with their checkpoints; nothing is lost by it. */
  | { readonly kind: 'producersFault'; readonly message: string }
  /** The thread that writes beside it ended; nothing is lost by it. */
  | { readonly kind: 'runsGone'; readonly message: string }
  | { readonly kind: 'eventLoop'; readonly report: EventLoopReport };

/** What the writer did since the last report; flat arrays, because there may be thousands of writes in one. */
export interface WriterActivity {
  /** bytes, lines, durationMs of each write, one after the other. */
  readonly writes: readonly number[];
  readonly syncsMs: readonly number[];
  readonly openSegment: OpenSegmentReport | undefined;
  /** Written since the last sync that covered everything. */
  readonly unsyncedBytes: number;
  readonly producers: ProducersState;
}

export type ArchiverEvent =
  | { readonly kind: 'stats'; readonly stats: ArchiverStats }
  | {
      readonly kind: 'compressed';
      readonly plainBytes: number;
      readonly fileBytes: number;
      readonly durationMs: number;
    }
  | { readonly kind: 'deleted'; readonly count: number }
  | { readonly kind: 'space'; readonly isLow: boolean; readonly freeBytes: number }
  | { readonly kind: 'fault'; readonly fault: ArchiverFault }
  | { readonly kind: 'eventLoop'; readonly report: EventLoopReport };
