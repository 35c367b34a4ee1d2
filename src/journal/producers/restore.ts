/**
 * Rebuilds the producers from the journal: the newest checkpoint that is whole, and the lines of all segments that it
 * does not know in full, or that have no record. Runs after recovery, so torn tails are cut, and before anything is written.
 *
 * Invariants:
 * 1. A number counts as taken only if its line lies among the valid bytes of a segment, or in a checkpoint.
 * 2. Nothing is changed on the disk.
 * 3. A journal without any checkpoint is read back for MAX_SCAN_BYTES and no further: it is one from before producers
 *    were kept, or one whose checkpoints somebody removed.
 */
import { join } from 'node:path';
import { GiB } from '../../base/byte-size.ts';
import { errorMessage } from '../../base/errors.ts';
import type { FileSystem } from '../file-system.ts';
import { readWholeFile } from '../file-system.ts';
import type { ClosedSegment } from '../manifest.ts';
import { parseManifest } from '../manifest.ts';
import type { SegmentFolders } from '../open-segment.ts';
import { MANIFEST_FILE, type SegmentName, segmentsAmong } from '../segment-name.ts';
import { type ReadableHandle, segmentLines } from '../segment-stream.ts';
import type { Checkpoint } from './checkpoint.ts';
import { numbersIn } from './line-numbers.ts';
import { checkpointFiles, newestCheckpoint } from './newest-checkpoint.ts';
import { ProducerNumbers } from './producer-numbers.ts';
import type { ProducerRecord } from './producer-table.ts';

const MAX_SCAN_BYTES = GiB;

export interface RestoredProducers {
  readonly producers: readonly ProducerRecord[];
  readonly scannedSegments: number;
  readonly faults: readonly string[];
}

interface Found {
  readonly numbers: ProducerNumbers;
  seenAtMs: number;
}

/** `recovered`: segments that were closed just now and have no record yet. Never throws. */
export async function restoreProducers(
  fileSystem: FileSystem,
  folders: SegmentFolders,
  recovered: readonly ClosedSegment[],
  nowMs: number,
): Promise<RestoredProducers> {
  const faults: string[] = [];
  const producers = new Map<string, Found>();
  let scannedSegments = 0;
  try {
    const files = await checkpointFiles(fileSystem, folders.journalFolder);
    const checkpoint = (await newestCheckpoint(fileSystem, files, (fault) => faults.push(fault)))?.checkpoint;
    for (const { id, next, holes, seenAtMs } of checkpoint?.producers ?? []) {
      producers.set(id, { numbers: new ProducerNumbers(next, holes), seenAtMs });
    }
    for (const { name, validBytes, closedAtMs } of await segmentsToScan(
      fileSystem,
      folders,
      recovered,
      checkpoint,
    )) {
      scannedSegments++;
      const seenAtMs = closedAtMs ?? nowMs;
      try {
        await scan(fileSystem, join(folders.folder, name.file), name, validBytes, (id, first, last) =>
          note(producers, id, first, last, seenAtMs),
        );
      } catch (error) {
        faults.push(`${name.file}: cannot be read for the numbers of producers: ${errorMessage(error)}`);
      }
    }
  } catch (error) {
    faults.push(`the numbers of producers cannot be restored: ${errorMessage(error)}`);
  }
  return {
    producers: [...producers].map(([id, { numbers, seenAtMs }]) => ({
      id,
      next: numbers.next,
      holes: numbers.holes,
      seenAtMs,
    })),
    scannedSegments,
    faults,
  };
}

interface ScannedSegment {
  readonly name: SegmentName;
  /** Undefined: to the end. */
  readonly validBytes: number | undefined;
  readonly closedAtMs: number | undefined;
  /**
   * The manifest says where it ends. Where it does not yet, recovery may have found more in it than was known when it was closed:
   * what a failed sync refused, and kill -9 left in the file.
   */
  readonly isRecorded: boolean;
}

/** Oldest first. */
async function segmentsToScan(
  fileSystem: FileSystem,
  { folder, journalFolder }: SegmentFolders,
  recovered: readonly ClosedSegment[],
  checkpoint: Checkpoint | undefined,
): Promise<readonly ScannedSegment[]> {
  const manifest = parseManifest(
    (await readWholeFile(fileSystem, join(journalFolder, MANIFEST_FILE))) ?? new Uint8Array(0),
  );
  const justClosed = new Map(recovered.map((segment) => [segment.number, segment]));
  const byNumber = new Map<number, ScannedSegment>();
  for (const name of segmentsAmong(await fileSystem.list(folder))) {
    const record = manifest.records.get(name.number);
    if (record !== undefined && (record.state === 'deleted' || record.file !== name.file)) continue;
    if (byNumber.has(name.number)) continue;
    const known = record ?? justClosed.get(name.number);
    byNumber.set(name.number, {
      ...{ name, validBytes: known?.bytes, closedAtMs: known?.closedAtMs },
      isRecorded: record !== undefined,
    });
  }
  const segments = [...byNumber.values()].sort((a, b) => a.name.number - b.name.number);
  if (checkpoint !== undefined) {
    return segments.filter(({ name, isRecorded }) => name.number >= checkpoint.scanFrom || !isRecorded);
  }
  let bytes = 0;
  const newest = segments.toReversed().filter(({ validBytes }) => {
    const isWithin = bytes < MAX_SCAN_BYTES;
    bytes += validBytes ?? 0;
    return isWithin;
  });
  return newest.reverse();
}

async function scan(
  fileSystem: FileSystem,
  path: string,
  name: SegmentName,
  validBytes: number | undefined,
  onRun: (id: string, first: bigint, last: bigint) => void,
): Promise<void> {
  const fd = await fileSystem.open(path, 'read');
  try {
    // As much of a handle as the reader of segments uses.
    const handle = {
      read: async (target: Uint8Array, offset: number, length: number, position: number) => ({
        bytesRead: await fileSystem.read(fd, target.subarray(offset, offset + length), position),
      }),
    } as unknown as ReadableHandle;
    const range = validBytes === undefined ? {} : { to: validBytes };
    for await (const lines of segmentLines(handle, name.compression, range)) numbersIn(lines, onRun);
  } finally {
    await fileSystem.close(fd);
  }
}

/** Lines that the checkpoint knows already change nothing. */
function note(
  producers: Map<string, Found>,
  id: string,
  first: bigint,
  last: bigint,
  seenAtMs: number,
): void {
  let found = producers.get(id);
  if (found === undefined) {
    found = { numbers: new ProducerNumbers(first), seenAtMs };
    producers.set(id, found);
  }
  found.seenAtMs = Math.max(found.seenAtMs, seenAtMs);
  const { numbers } = found;
  if (first > numbers.next) numbers.take({ first, last });
  else for (const range of numbers.missing(first, last)) numbers.take(range);
}
