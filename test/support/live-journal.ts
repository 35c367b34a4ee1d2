/** A real writer and a real archiver on one folder, as the daemon runs them, in one thread. */
import { join } from 'node:path';
import type { ArchiverFault, ArchiverOptions, SegmentArchiver } from '../../src/journal/archiver.ts';
import { openArchiver } from '../../src/journal/archiver.ts';
import { realFileSystem } from '../../src/journal/file-system.ts';
import type { JsonWriter } from '../../src/journal/json-writer.ts';
import { openJsonWriter } from '../../src/journal/json-writer.ts';
import type { ClosedSegment } from '../../src/journal/manifest.ts';
import { CheckpointWriter } from '../../src/journal/producers/checkpoint-writer.ts';
import { JOURNAL_FOLDER } from '../../src/journal/segment-name.ts';
import { ManualClock } from './manual-clock.ts';
import { sampleLine } from './sample-journal.ts';

export class LiveJournal {
  readonly folder: string;
  readonly clock = new ManualClock();
  readonly faults: ArchiverFault[] = [];
  /** Every line that was acknowledged, in order. */
  readonly written: string[] = [];
  #writer!: JsonWriter;
  #archiver!: SegmentArchiver;

  constructor(folder: string) {
    this.folder = folder;
  }

  async open(rotateBytes: number, options: Partial<ArchiverOptions> = {}): Promise<void> {
    const early: ClosedSegment[] = [];
    let archiver: SegmentArchiver | undefined;
    const checkpoints = new CheckpointWriter(
      realFileSystem,
      join(this.folder, JOURNAL_FOLDER),
      { size: 0, records: () => [] },
      (error) => {
        throw error;
      },
    );
    this.#writer = await openJsonWriter(
      {
        filePath: this.folder,
        rotateBytes,
        rotateIntervalMs: 0,
        syncIntervalMs: 60_000,
        durability: 'written',
      },
      {
        fileSystem: realFileSystem,
        clock: this.clock,
        events: {
          onRecovered: () => {},
          onSegmentOpened: ({ number, file }) => checkpoints.segmentOpened(number, file),
          onSegmentClosed: (segment) => {
            checkpoints.segmentEnded(segment.number, segment.file);
            if (archiver === undefined) early.push(segment);
            else archiver.closed(segment);
          },
          onSegmentEmpty: () => {},
          onSegmentLost: () => {},
          onHealth: () => {},
          onWritten: () => {},
          onSynced: () => {},
        },
      },
    );
    const keepAll = { retainFiles: 0, retainBytes: 0, retainAgeMs: 0, lowSpaceBytes: 0 };
    archiver = await openArchiver(
      { filePath: this.folder, compress: 'none', ...keepAll, ...options },
      {
        fileSystem: realFileSystem,
        clock: this.clock,
        events: { onFault: (fault) => this.faults.push(fault) },
      },
    );
    for (const segment of early) archiver.closed(segment);
    this.#archiver = archiver;
  }

  /** One batch of `count` lines, numbered through. */
  write(count: number): Promise<void> {
    const lines = Array.from({ length: count }, (_, index) => sampleLine(0, this.written.length + index));
    const receivedAtMs = this.clock.nowMs();
    const times = { firstReceivedAtMs: receivedAtMs, lastReceivedAtMs: receivedAtMs };
    return new Promise((resolve, reject) => {
      this.#writer.append({ bytes: Buffer.from(lines.join('')), lines: count, ...times }, (result) => {
        if (!result.ok) return reject(new Error(result.message));
        this.written.push(...lines);
        resolve();
      });
      this.#writer.flush();
    });
  }

  idle(): Promise<void> {
    return this.#archiver.idle();
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.#archiver.close({ finishHashes: true });
  }
}
