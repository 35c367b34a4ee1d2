/** What `verify --repair` found, lost and did. */
import type { Fault } from './verify.ts';

export interface RepairCut {
  /** Uncompressed, in the segment as it lay. */
  readonly offset: number;
  readonly bytes: number;
  /** Ends of lines in it, as far as it still has them. */
  readonly lines: number;
  readonly why: string;
  /** Where it is kept, below the folder; null in a dry run. */
  readonly savedAs: string | null;
  /** `received_at` of the readings kept before and after it: the lost ones lie between. */
  readonly afterMs: number | null;
  readonly beforeMs: number | null;
}

export type RepairAction =
  | 'rewritten' // without what was damaged
  | 'recorded' // its lines are whole; its record was not
  | 'sidecar' // its lines are whole; its sidecar was made again
  | 'lost' // nothing of it is left: the manifest says so now
  | 'removed'; // an empty file, or one that the manifest said was deleted or replaced

export interface SegmentRepair {
  readonly segment: number;
  /** As it is called after the repair. */
  readonly file: string;
  readonly actions: readonly RepairAction[];
  readonly keptLines: number;
  /** As many as record or sidecar speak of beyond those kept; where neither does, those seen in what was cut. */
  readonly lostLines: number;
  readonly lostBytes: number;
  readonly cuts: readonly RepairCut[];
  /** Whole files that were moved out of the journal. */
  readonly movedTo: readonly string[];
  /** Of the readings that are lost with the whole segment. */
  readonly lostFromMs: number | null;
  readonly lostToMs: number | null;
  /** Lines were kept that no checksum vouches for. */
  readonly isSuspect: boolean;
}

export interface RepairReport {
  readonly isDryRun: boolean;
  readonly faultsBefore: readonly Fault[];
  /** Unreadable lines taken out of the manifest, and where the manifest as it was is kept. */
  readonly manifestLinesDropped: number;
  readonly manifestSavedAs: string | null;
  readonly segments: readonly SegmentRepair[];
  /** What could not be repaired, a line each. */
  readonly failures: readonly string[];
  /** Of a second look; as before in a dry run. */
  readonly faultsAfter: readonly Fault[];
  readonly lostLines: number;
  readonly lostBytes: number;
}
