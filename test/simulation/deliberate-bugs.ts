/**
 * Bugs put in on purpose, to show that the simulation would find them: each changes what one part does at a
 * seam of the simulation, so that the production code knows nothing of them.
 */
import type { FileSystem } from '../../src/journal/file-system.ts';
import type { JsonWriter } from '../../src/journal/json-writer.ts';
import { encodeCheckpoint, parseCheckpoint } from '../../src/journal/producers/checkpoint.ts';
import type { SegmentScan } from '../../src/journal/segment-scan.ts';
import type { BatchMessage, ResultMessage } from '../../src/pipeline/channel.ts';

export interface Bug {
  readonly name: string;
  /** In place of the file system of the disk. `pathOf` tells what a descriptor is open for. */
  fileSystem?(real: FileSystem, pathOf: (fd: number) => string): Partial<FileSystem>;
  /** In place of the writer. */
  writer?(real: JsonWriter): JsonWriter;
  /** In place of what recovery finds in a segment. */
  scan?(real: SegmentScan, sizeBytes: number): SegmentScan;
  /** Numbers of a failed write stay taken. */
  readonly keepsFailedNumbers?: boolean;
  /** A start knows no producer. */
  readonly forgetsProducers?: boolean;
  /** A message between threads, as it arrives; false loses it. */
  message?(message: object): object | false;
}

/** A writer with another `append`. */
function withAppend(real: JsonWriter, append: JsonWriter['append']): JsonWriter {
  return new Proxy(real, {
    get: (target, key) => {
      if (key === 'append') return append;
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const isBatch = (message: object): message is BatchMessage =>
  'lines' in message && 'buffer' in message && 'length' in message;
const isResult = (message: object): message is ResultMessage => 'results' in message;

/** Fresh ones for every run: some remember. */
export const DELIBERATE_BUGS: readonly (() => Bug)[] = [
  () => ({
    name: 'acknowledge before the write',
    writer: (real) =>
      withAppend(real, (batch, onDone) => {
        real.append(batch, () => {});
        onDone({ ok: true });
      }),
  }),
  () => ({
    name: 'acknowledge although the write failed',
    writer: (real) => withAppend(real, (batch, onDone) => real.append(batch, () => onDone({ ok: true }))),
  }),
  () => ({
    name: 'skip the fsync of segments',
    fileSystem: (real, pathOf) => ({
      syncData: (fd) => (pathOf(fd).endsWith('.jsonl') ? real.status(fd).then(() => {}) : real.syncData(fd)),
    }),
  }),
  () => ({
    name: 'take a failed fsync for a good one',
    fileSystem: (real) => ({ syncData: (fd) => real.syncData(fd).catch(() => {}) }),
  }),
  () => ({
    name: 'never sync a folder',
    fileSystem: (real) => ({ syncFolder: (path) => real.stat(path).then(() => {}) }),
  }),
  () => ({
    name: 'record in the manifest without a sync',
    fileSystem: (real, pathOf) => ({
      syncData: (fd) =>
        pathOf(fd).endsWith('manifest.jsonl') ? real.status(fd).then(() => {}) : real.syncData(fd),
      sync: (fd) => (pathOf(fd).includes('manifest.jsonl') ? real.status(fd).then(() => {}) : real.sync(fd)),
    }),
  }),
  () => ({
    name: 'keep a torn line at recovery',
    scan: (real, sizeBytes) => ({ ...real, validBytes: sizeBytes }),
  }),
  () => ({
    name: 'leave what a failed write left, and go on behind it',
    fileSystem: (real) => ({
      truncateSync: () => {},
      writevSync: (fd, parts) => real.writevSync(fd, parts, real.statusSync(fd).sizeBytes),
    }),
  }),
  () => ({
    name: 'take a short write for a whole one',
    fileSystem: (real) => ({
      writevSync: (fd, parts, position) => {
        real.writevSync(fd, parts, position);
        return parts.reduce((sum, part) => sum + part.length, 0);
      },
    }),
  }),
  () => {
    const bytesOf = sharedMemory();
    let before: { readonly id: number; readonly bytes: Uint8Array } | undefined;
    return {
      name: 'use a buffer again while it is under way',
      message: (message) => {
        // What has gone home is nobody's any more.
        if (isResult(message) && message.results.some(({ id }) => id === before?.id)) before = undefined;
        if (!isBatch(message)) return message;
        const bytes = bytesOf(message);
        before?.bytes.set(bytes.subarray(0, Math.min(before.bytes.length, message.length)));
        before = { id: message.id, bytes };
        return message;
      },
    };
  },
  () => {
    let results = 0;
    return {
      name: 'lose an answer of the writer',
      message: (message) => (isResult(message) && ++results % 40 === 0 ? false : message),
    };
  },
  () => {
    const bytesOf = sharedMemory();
    let batches = 0;
    return {
      name: 'write a batch twice',
      message: (message) => {
        if (!isBatch(message)) return message;
        const bytes = bytesOf(message);
        // One that brings memory along has to arrive as it is.
        if (message.memory !== undefined || ++batches % 20 !== 0) return message;
        const { length, lines } = message;
        const twice = new Uint8Array(2 * length);
        twice.set(bytes.subarray(0, length));
        twice.set(bytes.subarray(0, length), length);
        return { ...message, buffer: 0, memory: twice.buffer, length: 2 * length, lines: 2 * lines };
      },
    };
  },
  () => ({ name: 'count a number as taken before its write is known to be good', keepsFailedNumbers: true }),
  () => ({ name: 'forget at a start which numbers the journal has', forgetsProducers: true }),
  () => ({
    name: 'let a checkpoint speak for a segment that was still open',
    fileSystem: (real, pathOf) => ({
      writevSync: (fd, parts, position) => {
        const checkpoint = pathOf(fd).endsWith('.producers') ? parseCheckpoint(parts[0]!) : undefined;
        if (checkpoint === undefined) return real.writevSync(fd, parts, position);
        const scanFrom = Math.min(checkpoint.segment, checkpoint.scanFrom + 1);
        const claiming = encodeCheckpoint({ ...checkpoint, scanFrom });
        real.writevSync(fd, [claiming], position);
        return parts[0]!.length;
      },
    }),
  }),
];

/** Memory comes with its first batch; later ones name its number. */
function sharedMemory(): (message: BatchMessage) => Uint8Array {
  const known = new Map<number, ArrayBufferLike>();
  return ({ buffer, memory }) => {
    if (memory !== undefined) known.set(buffer, memory);
    return new Uint8Array(known.get(buffer) ?? new ArrayBuffer(0));
  };
}
