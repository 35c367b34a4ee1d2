/**
 * A journal writer under test: a real temporary folder, a faulty file system, a clock moved by hand, and
 * a book of what every batch was told, to be held against what is in the files.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { parseBlocks } from '../../src/journal/blocks.ts';
import type { JournalHealth } from '../../src/journal/journal-health.ts';
import type { JsonWriter } from '../../src/journal/json-writer.ts';
import { openJsonWriter } from '../../src/journal/json-writer.ts';
import type { JsonWriterOptions, LostSegment, RetireCause } from '../../src/journal/json-writer-events.ts';
import type { ClosedSegment } from '../../src/journal/manifest.ts';
import type { AppendBatch } from '../../src/journal/open-segment.ts';
import type { RecoveryReport } from '../../src/journal/recovery.ts';
import type { RunWriter } from '../../src/journal/run-writer.ts';
import { parseSegmentFile } from '../../src/journal/segment-name.ts';
import { SUMMED_BATCH_BYTES } from '../../src/pipeline/batch.ts';
import type { FaultyFileSystem } from './faulty-file-system.ts';
import { faultyFileSystem } from './faulty-file-system.ts';
import { ManualClock } from './manual-clock.ts';

export const DEFAULTS: Omit<JsonWriterOptions, 'filePath'> = {
  rotateBytes: 1024 * 1024,
  rotateIntervalMs: 0,
  syncIntervalMs: 1000,
  durability: 'written',
};

const temporaryFolders: string[] = [];
process.once('exit', () => {
  for (const path of temporaryFolders) rmSync(path, { recursive: true, force: true });
});

/** Removed when the process ends. */
export function temporaryFolder(): { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'journal-'));
  temporaryFolders.push(path);
  return { path };
}

/** `lines` readings whose names all begin with the batch's id. A large one is summed up, as a processor does it. */
export function makeBatch(id: string, lines = 3, padBytes = 0): AppendBatch {
  let text = '';
  const receivedAtMs = Date.UTC(2026, 10, 20, 10);
  for (let i = 0; i < lines; i++) {
    const receivedAt = new Date(receivedAtMs + i).toISOString();
    text += `{"sensor_name":"${id}/${i}","sensor_value":${i},"created_at":null,"received_at":"${receivedAt}","pad":"${'x'.repeat(padBytes)}"}\n`;
  }
  const bytes = Buffer.from(text);
  return {
    ...(bytes.length >= SUMMED_BATCH_BYTES ? { crc32: crc32(bytes) } : {}),
    bytes,
    lines,
    firstReceivedAtMs: receivedAtMs,
    lastReceivedAtMs: receivedAtMs + lines - 1,
  };
}

/** Turns the event loop until the condition holds; the test's own timeout ends what never comes. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

export class JournalHarness {
  readonly folder: string;
  readonly fileSystem: FaultyFileSystem;
  readonly clock = new ManualClock();
  readonly acknowledged = new Map<string, number>();
  readonly refused = new Map<string, string>();
  readonly closed = new Map<number, ClosedSegment>();
  readonly causes: (RetireCause | 'recovered')[] = [];
  readonly lost: LostSegment[] = [];
  readonly empty: number[] = [];
  readonly recovered: RecoveryReport[] = [];
  readonly health: JournalHealth[] = [];
  readonly opened: number[] = [];
  writtenBytes = 0;
  syncedBytes = 0;
  given = 0;
  writer!: JsonWriter;
  readonly #runs: RunWriter | undefined;

  constructor(folder: string, fileSystem = faultyFileSystem(), runs?: RunWriter) {
    this.folder = folder;
    this.fileSystem = fileSystem;
    this.#runs = runs;
  }

  async open(options: Partial<JsonWriterOptions> = {}): Promise<JsonWriter> {
    this.writer = await openJsonWriter(
      { ...DEFAULTS, filePath: this.folder, ...options },
      {
        fileSystem: this.fileSystem,
        clock: this.clock,
        ...(this.#runs && { runs: this.#runs }),
        events: {
          onRecovered: (report) => this.recovered.push(report),
          onSegmentOpened: ({ number }) => this.opened.push(number),
          onSegmentClosed: (segment, cause) => {
            assert.ok(!this.closed.has(segment.number), `segment ${segment.number} reported twice`);
            this.closed.set(segment.number, segment);
            this.causes.push(cause);
          },
          onSegmentEmpty: ({ number }) => this.empty.push(number),
          onSegmentLost: (segment) => this.lost.push(segment),
          onHealth: (health) => this.health.push(health),
          onWritten: (bytes) => {
            this.writtenBytes += bytes;
          },
          onSynced: (_durationMs, bytes) => {
            this.syncedBytes += bytes;
          },
        },
      },
    );
    return this.writer;
  }

  append(id: string, lines = 3, padBytes = 0): void {
    this.given++;
    this.writer.append(makeBatch(id, lines, padBytes), (result) => {
      assert.ok(!this.acknowledged.has(id) && !this.refused.has(id), `${id} answered twice`);
      if (result.ok) this.acknowledged.set(id, lines);
      else this.refused.set(id, result.code);
    });
  }

  get answered(): number {
    return this.acknowledged.size + this.refused.size;
  }

  /** Lets time pass until the journal says that it is healthy again. */
  async untilHealthy(): Promise<void> {
    while (!this.writer.health.ok) {
      this.clock.advance(1000);
      await nextTurn();
    }
  }

  /** The segments in the folder, oldest first. */
  segmentFiles(): string[] {
    return readdirSync(this.folder)
      .filter((file) => parseSegmentFile(file) !== undefined)
      .sort((a, b) => parseSegmentFile(a)!.number - parseSegmentFile(b)!.number);
  }

  /** The valid bytes of a segment: what its report says, or the whole file. */
  validBytes(file: string): Buffer {
    const content = readFileSync(join(this.folder, file));
    const closed = this.closed.get(parseSegmentFile(file)!.number);
    return closed === undefined ? content : content.subarray(0, closed.bytes);
  }

  /** Holds the book against the files: whole lines only, acknowledged in exactly once, refused not in. */
  check(): void {
    assert.equal(this.answered, this.given, 'every batch got an answer');
    const found = new Map<string, number>();
    for (const file of this.segmentFiles()) {
      const bytes = this.validBytes(file);
      assert.ok(bytes.length === 0 || bytes.at(-1) === 0x0a, `${file} ends with a whole line`);
      let lines = 0;
      for (const line of bytes.toString('utf8').split('\n').slice(0, -1)) {
        lines++;
        const id = (JSON.parse(line).sensor_name as string).split('/')[0]!;
        found.set(id, (found.get(id) ?? 0) + 1);
      }
      const closed = this.closed.get(parseSegmentFile(file)!.number);
      if (closed !== undefined) {
        assert.equal(closed.file, file);
        assert.equal(closed.lines, lines, `${file}: lines as reported`);
        assert.equal(closed.bytes, bytes.length, `${file}: as long as reported`);
        assert.ok(closed.fileBytes >= closed.bytes);
      }
    }
    for (const [id, lines] of this.acknowledged)
      assert.equal(found.get(id), lines, `${id} is in the files once`);
    for (const id of this.refused.keys()) assert.equal(found.get(id), undefined, `${id} is not in the files`);
  }

  /** Every closed segment is covered by its sidecar, with the right checksums. */
  checkSidecars(): void {
    for (const file of this.segmentFiles()) {
      const data = this.validBytes(file);
      const sidecar = readFileSync(join(this.folder, '.journal', file.replace('.jsonl', '.blocks')));
      const { blocks, coveredBytes, end } = parseBlocks(sidecar);
      assert.equal(end, 'complete');
      assert.equal(coveredBytes, data.length, `${file}: covered by its sidecar`);
      for (const { offset, bytes, lines, crc32: sum } of blocks) {
        const block = data.subarray(offset, offset + bytes);
        assert.equal(crc32(block), sum, `${file}: checksum at ${offset}`);
        assert.equal(block.toString('latin1').split('\n').length - 1, lines);
      }
    }
  }
}
