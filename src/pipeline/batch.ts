/**
 * A batch: the bytes of whole lines, their counts, and the acknowledgements that wait on them.
 * It is the only thing that crosses from an ingest thread to the writer. Its bytes are never copied:
 * they lie in shared memory, and until the outcome is back they are the writer's. Where one request was too large for that,
 * they are transferred, and do not come back.
 */
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

export interface Batch {
  /** [0, length) are whole lines. */
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly lines: number;
  readonly requests: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
  /** Answered in order, each exactly once, when the batch's outcome is known. Empty for ACK=accepted. */
  readonly acknowledgements: readonly Acknowledge[];
}

/** What became of a batch, as the far end of the channel reports it. */
export type BatchResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly message: string };
