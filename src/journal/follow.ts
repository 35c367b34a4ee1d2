/**
 * Goes on reading from a position, for ever: across rotation, compression and retention.
 *
 *   seek ──segment there, plain──▶ read to its end ──nothing new──▶ is there a later one, or is it gone?
 *    ▲ ▲   segment there, compressed: read it whole                    │ no: wait for a change, read on
 *    │ └──────────── next number ◀──────────────────────────────────── │ yes: read to its end once more
 *    └──nothing at or after the position: wait for a change
 *
 * Invariants:
 * 1. Every line after the position is handed out once, in order, or reported as skipped (retention was faster).
 * 2. That a segment is finished is found out before its end is read for the last time, never after.
 * 3. The open file is held, so its bytes stay readable when compression or retention unlinks it.
 *
 * Right behind the writer, a line may be seen whose batch failed on a full disk and was taken back before
 * it was acknowledged. After such a cut reading goes on at the next whole line.
 */
import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { systemErrorCode } from '../base/errors.ts';
import type { FolderView, SegmentView } from './folder-view.ts';
import { loadManifest, viewFolder } from './folder-view.ts';
import type { Position } from './reader.ts';
import { openSegmentFile } from './reader.ts';
import { segmentsAmong } from './segment-name.ts';
import { plainChunks, segmentLines } from './segment-stream.ts';

/** Without a notice from the file system, look again after so long. */
const POLL_INTERVAL_MS = 250;
/** Notices come per write; this many milliseconds of them are answered by one look. */
const GATHER_MS = 10;
const NEWLINE = 0x0a;

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Segments from..to were deleted before they were read to their end. */
  readonly onSkipped?: (fromSegment: number, toSegment: number) => void;
}

export interface FollowedChunk {
  /** Whole lines. */
  readonly lines: Buffer;
  /** Directly after them. */
  readonly end: Position;
}

/** Ends, without an error, when the signal is aborted. Throws SinkError FOLDER_MISSING when the folder goes away. */
export async function* followLines(
  folder: string,
  from: Position,
  options: FollowOptions,
): AsyncGenerator<FollowedChunk> {
  const changes = new ChangeNotice(folder, options.signal);
  try {
    yield* new Follower(folder, from, changes, options).run();
  } finally {
    changes.close();
  }
}

class Follower {
  readonly #folder: string;
  readonly #changes: ChangeNotice;
  readonly #options: FollowOptions;
  #segment: number;
  #offset: number;

  constructor(folder: string, from: Position, changes: ChangeNotice, options: FollowOptions) {
    this.#folder = folder;
    this.#changes = changes;
    this.#options = options;
    this.#segment = from.segment;
    this.#offset = from.offset;
  }

  async *run(): AsyncGenerator<FollowedChunk> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      const view = await viewFolder(this.#folder);
      const known = view.manifest.records.get(this.#segment);
      if (known !== undefined && this.#offset >= known.bytes) this.#goTo(this.#segment + 1);
      const next = view.segments.find((candidate) => candidate.number >= this.#segment);
      if (next === undefined) {
        await this.#changes.next();
        continue;
      }
      const handle = await openSegmentFile(this.#folder, next.file);
      if (handle === undefined) continue; // replaced since: a fresh view says by what
      try {
        if (next.number > this.#segment) {
          this.#reportSkipped(view, next.number);
          this.#goTo(next.number);
        }
        const isPlain = next.compression === 'none';
        yield* isPlain ? this.#readGrowing(handle, next) : this.#readCompressed(handle, next);
      } finally {
        await handle.close();
      }
      this.#goTo(this.#segment + 1);
    }
  }

  #goTo(segment: number): void {
    this.#segment = segment;
    this.#offset = 0;
  }

  /** Of the numbers we jump over, only those of deleted segments ever held lines. */
  #reportSkipped(view: FolderView, nextSegment: number): void {
    if (this.#segment === 0) return; // from the very beginning: nothing was begun, nothing is missed
    const deleted: number[] = [];
    for (let number = this.#segment; number < nextSegment; number++) {
      if (view.manifest.records.get(number)?.state === 'deleted') deleted.push(number);
    }
    if (deleted.length > 0) this.#options.onSkipped?.(deleted[0]!, deleted.at(-1)!);
  }

  async *#readCompressed(handle: FileHandle, segment: SegmentView): AsyncGenerator<FollowedChunk> {
    const to = segment.record?.bytes ?? Number.POSITIVE_INFINITY;
    yield* this.#handOut(segmentLines(handle, segment.compression, { from: this.#offset, to }));
  }

  async *#handOut(chunks: AsyncIterable<Buffer>): AsyncGenerator<FollowedChunk> {
    for await (const lines of chunks) {
      this.#offset += lines.length;
      yield { lines, end: { segment: this.#segment, offset: this.#offset } };
      if (this.#options.signal.aborted) return;
    }
  }

  async *#readGrowing(handle: FileHandle, segment: SegmentView): AsyncGenerator<FollowedChunk> {
    const { signal } = this.#options;
    let to = segment.record?.bytes ?? Number.POSITIVE_INFINITY;
    while (!signal.aborted) {
      // One look at a time: what is written or cut after it is the next look's business.
      const size = await this.#stepBackBehindCut(handle);
      const before = this.#offset;
      yield* this.#handOut(segmentLines(handle, 'none', { from: before, to: Math.min(to, size) }));
      if (this.#offset === before && (await this.#isFinished(segment.file))) {
        to = (await loadManifest(this.#folder))?.records.get(this.#segment)?.bytes ?? to;
        yield* this.#handOut(segmentLines(handle, 'none', { from: this.#offset, to }));
        return;
      }
      await this.#changes.next();
    }
  }

  /** A later segment was begun, or this one was removed or replaced: the writer is through with it. */
  async #isFinished(file: string): Promise<boolean> {
    try {
      const names = await readdir(this.#folder);
      return !names.includes(file) || segmentsAmong(names).some((name) => name.number > this.#segment);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return true; // the next view says so in one clear line
      throw error;
    }
  }

  /** The writer cuts failed batches off again, and may have written on since. Returns the size of the file. */
  async #stepBackBehindCut(handle: FileHandle): Promise<number> {
    const { size } = await handle.stat();
    if (size < this.#offset) this.#offset = size;
    if (this.#offset === 0) return size;
    const before = Buffer.alloc(1);
    const { bytesRead } = await handle.read(before, 0, 1, this.#offset - 1);
    if (bytesRead === 0 || before[0] === NEWLINE) return size;
    let offset = this.#offset;
    for await (const chunk of plainChunks(handle, offset, size)) {
      const newline = chunk.indexOf(NEWLINE);
      if (newline !== -1) {
        this.#offset = offset + newline + 1;
        break;
      }
      offset += chunk.length;
    }
    return size;
  }
}

/** Says when it is worth looking again: on a notice from the file system, or after the poll interval. */
class ChangeNotice {
  readonly #signal: AbortSignal;
  #watcher: FSWatcher | undefined;
  #isChanged = false;
  #wake: (() => void) | undefined;
  readonly #onAbort = () => this.#wake?.();

  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort);
    try {
      this.#watcher = watch(folder, () => {
        this.#isChanged = true;
        this.#wake?.();
      });
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // No notices here (a limit, a network file system): polling alone will do.
    }
  }

  async next(): Promise<void> {
    if (!this.#isChanged && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, POLL_INTERVAL_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    if (this.#isChanged) await delay(GATHER_MS);
    this.#isChanged = false;
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#watcher?.close();
  }
}
