/**
 * The uncompressed bytes of one segment, whatever form it lies in, cut at whole lines.
 *
 * Invariants:
 * 1. The file is opened once; compression and retention may unlink it meanwhile, the bytes stay ours.
 * 2. A chunk ends with a newline; an unfinished last line is never handed out.
 * 3. Memory is bounded by a few chunks and one line.
 */
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { MiB } from '../base/byte-size.ts';
import { SinkError } from '../base/errors.ts';
import type { Compression } from './segment-name.ts';

const CHUNK_BYTES = 1 * MiB;
/** Far above what one reading can become (a request is a few MiB); a longer one is no journal. */
const MAX_LINE_BYTES = 256 * MiB;
const NEWLINE = 0x0a;

/** What is read of a file: a FileHandle, or whatever stands for one. */
export interface ByteSource {
  read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
}

/** What is read of a file's handle. */
export type ReadableHandle = Pick<FileHandle, 'read'>;

export interface ByteRange {
  /** Uncompressed offset of the first byte wanted; at the start of a line. */
  readonly from?: number;
  /** Uncompressed offset to stop at. */
  readonly to?: number;
}

/** Bytes of an uncompressed file in [from, to), or up to where it ends now. Each chunk is the caller's to keep. */
export async function* plainChunks(
  handle: ByteSource,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer> {
  let offset = from;
  while (offset < to) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, to - offset));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    if (bytesRead === 0) return;
    offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Bytes after decompression. `onRaw` sees the bytes of the file as they lie, in order, before anything else does. */
export async function* decompressedChunks(
  handle: ByteSource,
  compression: 'gzip' | 'zstd',
  onRaw?: (chunk: Buffer) => void,
): AsyncGenerator<Buffer> {
  let isOver = false;
  const rawChunks = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of plainChunks(handle)) {
      if (isOver) return; // a read that was under way when the consumer had enough
      onRaw?.(chunk);
      yield chunk;
    }
  };
  // Not handle.createReadStream: that closes the handle, which is the caller's.
  const source = Readable.from(rawChunks(), { objectMode: true, highWaterMark: 1 });
  const options = { chunkSize: CHUNK_BYTES / 4 };
  const decompress = compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options);
  source.on('error', (error) => decompress.destroy(error));
  source.pipe(decompress);
  try {
    yield* decompress as AsyncIterable<Buffer>;
  } finally {
    isOver = true;
    source.destroy();
    decompress.destroy();
  }
}

/** The segment's uncompressed lines in [from, to) as chunks of whole lines. */
export function segmentLines(
  handle: ByteSource,
  compression: Compression,
  range: ByteRange = {},
): AsyncGenerator<Buffer> {
  if (compression === 'none') return wholeLines(plainChunks(handle, range.from, range.to));
  return wholeLines(cut(decompressedChunks(handle, compression), range.from ?? 0, range.to));
}

async function* cut(
  chunks: AsyncIterable<Buffer>,
  from: number,
  to = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer> {
  let offset = 0;
  for await (const chunk of chunks) {
    const start = Math.max(0, from - offset);
    const end = Math.min(chunk.length, to - offset);
    if (start < end) yield chunk.subarray(start, end);
    offset += chunk.length;
    if (offset >= to) return;
  }
}

/** Regroups chunks so that each ends with a newline; what follows the last newline is left out. */
export async function* wholeLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      begun.push(chunk);
      begunBytes += chunk.length;
      if (begunBytes > MAX_LINE_BYTES) {
        throw new SinkError('JOURNAL_UNREADABLE', `a line longer than ${MAX_LINE_BYTES} bytes`);
      }
      continue;
    }
    if (begunBytes === 0) {
      yield chunk.subarray(0, end);
    } else {
      // Only the line that straddles is copied; the rest of the chunk is handed on as it is.
      const first = chunk.indexOf(NEWLINE) + 1;
      yield Buffer.concat([...begun, chunk.subarray(0, first)]);
      if (first < end) yield chunk.subarray(first, end);
    }
    begun = end < chunk.length ? [chunk.subarray(end)] : [];
    begunBytes = chunk.length - end;
  }
}

/** The lines of a chunk of whole lines, each with its newline; views, not copies. */
export function* linesOf(chunk: Buffer): Generator<Buffer> {
  let at = 0;
  while (at < chunk.length) {
    const newline = chunk.indexOf(NEWLINE, at);
    const end = newline === -1 ? chunk.length : newline + 1;
    yield chunk.subarray(at, end);
    at = end;
  }
}
