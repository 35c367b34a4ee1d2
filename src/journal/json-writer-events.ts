/** What the owner of a JsonWriter gives it and hears from it. */
import type { Clock } from '../base/clock.ts';
import type { FileSystem } from './file-system.ts';
import type { JournalHealth } from './journal-health.ts';
import type { ClosedSegment } from './manifest.ts';
import type { RecoveryReport } from './recovery.ts';
import type { RotationCause } from './rotation.ts';
import type { RunWriter } from './run-writer.ts';

export interface JsonWriterOptions {
  readonly filePath: string;
  readonly rotateBytes: number;
  readonly rotateIntervalMs: number;
  readonly syncIntervalMs: number;
  /** `off`: never around the page cache. Missing means auto. */
  readonly directWrites?: 'auto' | 'off';
  /** What an ok means. */
  readonly durability: 'written' | 'synced';
}

export type RetireCause = RotationCause | 'fault' | 'suspect' | 'lost' | 'adrift' | 'close';

export interface LostSegment {
  readonly number: number;
  readonly file: string;
  readonly lines: number;
  readonly bytes: number;
}

export interface JsonWriterEvents {
  /** At open, and when a folder that was away is back. Each segment of it follows as onSegmentClosed. */
  onRecovered(report: RecoveryReport): void;
  onSegmentOpened(segment: { readonly number: number; readonly file: string }): void;
  onSegmentClosed(segment: ClosedSegment, cause: RetireCause | 'recovered'): void;
  /** Nothing was in it, and it is gone: its first write or sync failed, or there was none. */
  onSegmentEmpty(segment: { readonly number: number; readonly file: string }): void;
  /** Somebody removed it, or moved it out of the folder, while it was open. */
  onSegmentLost(segment: LostSegment): void;
  /** Only on change; the journal begins healthy. */
  onHealth(health: JournalHealth): void;
  /** Once per group of batches written together. */
  onWritten(bytes: number, lines: number, durationMs: number): void;
  onSynced(durationMs: number, bytesDurable: number): void;
}

export interface JsonWriterParts {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly events: JsonWriterEvents;
  /** Writes beside this thread what goes around the page cache. */
  readonly runs?: RunWriter;
}
