/**
 * A batch: the bytes of whole lines, their counts, and the acknowledgements that wait on them.
 * It is the only thing that crosses from an ingest thread to the writer. Its bytes are never copied:
 * they lie in shared memory, and until the outcome is back they are the writer's. Where one request was too large for that,
 * they are transferred, and do not come back.
 */
import { KiB } from '../base/byte-size.ts';
import type { Outcome } from '../base/outcome.ts';

export type Acknowledge = (outcome: Outcome) => void;

/** Why a batch left the processor; the label of the flush metric. */
export type FlushCause =
  | 'size' // BUFFER_SIZE readings
  | 'bytes' // BUFFER_BYTES bytes, or all that QUEUE_BYTES leaves while somebody waits for room
  | 'timer' // BUFFER_FLUSH_INTERVAL
  | 'acknowledgement' // somebody waits and the writer is free (group commit)
  | 'close' // the input ended; everything is handed over
  | 'cancel'; // stopped at once; what was gathered is handed over without waiting

export const FLUSH_CAUSES: readonly FlushCause[] = [
  'size',
  'bytes',
  'timer',
  'acknowledgement',
  'close',
  'cancel',
];

/**
 * From here on a batch is summed up where it was made: there are several ingest threads and one writer. As much as the
 * sidecar puts into a block, so that a batch is one.
 */
export const SUMMED_BATCH_BYTES = 64 * KiB;

export interface Batch {
  /** [0, length) are whole lines. */
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly lines: number;
  readonly requests: number;
  /** Requests whose acknowledgement waits on it or on a part of it. */
  readonly waiters: number;
  /** On the monotonic clock, when it left the processor. */
  readonly leftAtMs: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
  /** Answered in order, each exactly once, when the batch's outcome is known. Empty for ACK=accepted, and with parts. */
  readonly acknowledgements: readonly Acknowledge[];
  /** Where readings of it are numbered: the batch in parts, each with an outcome of its own. */
  readonly parts?: readonly BatchPart[];
  /** zlib's CRC-32 of the bytes, where the writer need not take it: from SUMMED_BATCH_BYTES on, and without parts. */
  readonly crc32?: number;
}

/** What names readings for good: their producer, and the number of the first of them; the next have the numbers behind. */
export interface Numbering {
  readonly producerId: string;
  /** From 1 to 2^64-1. */
  readonly first: bigint;
}

/** Either the lines of one numbered request, or those of unnumbered ones that came between two such. */
export interface BatchPart {
  /** Offsets in the batch. */
  readonly start: number;
  end: number;
  lines: number;
  readonly numbering: Numbering | undefined;
  readonly acknowledgements: Acknowledge[];
}

/** What became of a part: of its lines so many are written, and so many were in the journal already. */
export type PartResult =
  | { readonly kind: 'ok'; readonly written: number; readonly deduplicated: number }
  /** Numbers before it never came: the producer has to go on with `expected`. */
  | { readonly kind: 'gap'; readonly expected: bigint }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** What became of a batch, as the far end of the channel reports it. */
export type BatchResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly message: string };
