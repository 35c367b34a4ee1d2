/** What an archiver tells whoever runs it. */
import type { ClosedSegment, ManifestRecord } from './manifest.ts';

export interface ArchiverFault {
  readonly task: 'recover' | 'hash' | 'compress' | 'retain' | 'space';
  /** What it was working on: a file name, or the folder. */
  readonly file: string;
  readonly code: string;
  readonly message: string;
  /** It goes on trying. False: this one is left as it is, for a person to look at. */
  readonly willRetry: boolean;
}

export interface ArchiverEvents {
  onArchived?(record: ManifestRecord): void;
  /** It has a record, or is given up; no sync is owed to it any more. */
  onSettled?(segment: ClosedSegment): void;
  onCompressed?(record: ManifestRecord, plainBytes: number, durationMs: number): void;
  onDeleted?(records: readonly ManifestRecord[]): void;
  /** Once when the free space falls below LOW_SPACE_BYTES... */
  onLowSpace?(freeBytes: number): void;
  /** ...and once when it is back. */
  onSpace?(freeBytes: number): void;
  onFault?(fault: ArchiverFault): void;
}

export interface ArchiverStats {
  /** Closed segments in the manifest that are still there. */
  readonly segments: number;
  /** Their size on disk, and the readings in them uncompressed. */
  readonly fileBytes: number;
  readonly bytes: number;
  readonly lines: number;
  /** Removed by retention since the archiver was opened. */
  readonly deletedSegments: number;
  readonly deletedFileBytes: number;
  /** Waiting for their hash, and for their compression. */
  readonly hashQueue: number;
  readonly compressQueue: number;
  /** As of the last look; undefined before the first. */
  readonly freeBytes: number | undefined;
}
