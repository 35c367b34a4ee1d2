/**
 * One pass over a segment file: its sha256, and while at it its compressed copy. Memory is a few chunks
 * whatever the size of the file; the compression itself runs in libuv's thread pool.
 */
import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, createZstdCompress, constants as zlib } from 'node:zlib';
import { MiB } from '../base/byte-size.ts';
import type { FileSystem } from './file-system.ts';
import { readFully, writeFully } from './file-system.ts';
import type { ClosedSegment, ManifestRecord } from './manifest.ts';
import { JOURNAL_FOLDER, parseSegmentFile, segmentFile } from './segment-name.ts';

const CHUNK_BYTES = 1 * MiB;
const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 3;

export interface FileHash {
  readonly sha256: string;
  readonly fileBytes: number;
}

/**
 * The hash of a closed segment: the writer's, which hashed what it wrote, where it gave one. Reading all of it again costs
 * as much as writing it.
 */
export async function hashOf(
  segment: ClosedSegment,
  fileSystem: FileSystem,
  path: string,
  signal: AbortSignal,
): Promise<FileHash> {
  const { sha256, fileBytes } = segment;
  if (sha256 !== undefined && (await fileSystem.stat(path))?.sizeBytes === fileBytes) {
    return { sha256, fileBytes };
  }
  return hashFile(fileSystem, path, signal);
}

async function hashFile(fileSystem: FileSystem, path: string, signal: AbortSignal): Promise<FileHash> {
  const hash = createHash('sha256');
  let fileBytes = 0;
  for await (const chunk of fileChunks(fileSystem, path, hash, signal)) fileBytes += chunk.length;
  return { sha256: hash.digest('hex'), fileBytes };
}

export interface CompressedCopy {
  /** Of the file that was read, all of it. */
  readonly source: FileHash;
  /** Of the copy. */
  readonly copy: FileHash;
}

/** Writes and syncs a compressed copy of the first `validBytes` of `path` at `copyPath`; replaces what lies there. */
export async function compressFile(
  fileSystem: FileSystem,
  path: string,
  copyPath: string,
  compression: 'gzip' | 'zstd',
  validBytes: number,
  signal: AbortSignal,
): Promise<CompressedCopy> {
  const sourceHash = createHash('sha256');
  const copyHash = createHash('sha256');
  let sourceBytes = 0;
  let copyBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  const fd = await fileSystem.open(copyPath, 'replace');
  try {
    const validChunks = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of fileChunks(fileSystem, path, sourceHash, signal)) {
        const valid = Math.min(chunk.length, validBytes - sourceBytes);
        sourceBytes += chunk.length;
        if (valid > 0) yield chunk.subarray(0, valid);
      }
    };
    await pipeline(
      // objectMode: false would split the chunks; as objects they pass whole, and one at a time.
      Readable.from(validChunks(), { objectMode: true, highWaterMark: 1 }),
      compression === 'gzip'
        ? createGzip({ level: GZIP_LEVEL, chunkSize: CHUNK_BYTES / 4 })
        : createZstdCompress({
            chunkSize: CHUNK_BYTES / 4,
            params: { [zlib.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [zlib.ZSTD_c_checksumFlag]: 1 },
          }),
      async (compressed: AsyncIterable<Buffer>) => {
        for await (const chunk of compressed) {
          copyHash.update(chunk);
          await (writing = writeFully(fileSystem, fd, chunk, copyBytes));
          copyBytes += chunk.length;
        }
      },
      { signal },
    );
    await fileSystem.sync(fd);
  } finally {
    // An abort ends the pipeline while a write may be under way; its descriptor must not be reused under it.
    await writing.catch(() => {});
    await fileSystem.close(fd);
  }
  return {
    source: { sha256: sourceHash.digest('hex'), fileBytes: sourceBytes },
    copy: { sha256: copyHash.digest('hex'), fileBytes: copyBytes },
  };
}

/** The file is not what was recorded of it. Trying again is of no use; a person has to look. */
export class DamageError extends Error {}

export interface CompressedDraft {
  /** In the journal folder; to be renamed into place. */
  readonly path: string;
  /** What is to be recorded once it is. */
  readonly record: ManifestRecord;
}

/** Compresses a closed segment beside it. Throws DamageError when its file is not the one recorded; leaves nothing behind then. */
export async function draftCompressed(
  fileSystem: FileSystem,
  folder: string,
  record: ManifestRecord,
  compression: 'gzip' | 'zstd',
  signal: AbortSignal,
): Promise<CompressedDraft> {
  // The worst case must fit: a compression that fills the disk would stop the writer.
  const { availableBytes } = await fileSystem.space(folder);
  if (availableBytes < record.bytes) {
    const message = `ENOSPC: only ${availableBytes} bytes are free`;
    throw Object.assign(new Error(message), { code: 'ENOSPC' });
  }
  const file = segmentFile(parseSegmentFile(record.file)!.base, compression);
  const path = join(folder, JOURNAL_FOLDER, `${file}.tmp`);
  try {
    const plainPath = join(folder, record.file);
    const { source, copy } = await compressFile(
      fileSystem,
      plainPath,
      path,
      compression,
      record.bytes,
      signal,
    );
    if (source.sha256 !== record.sha256) {
      // Compressing it would give the damage a clean hash. It stays as it lies; verify names the block.
      throw new DamageError('the file is not what was recorded at its close (sha256 differs)');
    }
    return { path, record: { ...record, ...copy, file, compression } };
  } catch (error) {
    await fileSystem.unlink(path).catch(() => {});
    throw error;
  }
}

/** A fresh buffer per chunk: the consumer may still hold the one before. */
async function* fileChunks(
  fileSystem: FileSystem,
  path: string,
  hash: Hash,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const fd = await fileSystem.open(path, 'read');
  try {
    let position = 0;
    for (;;) {
      signal.throwIfAborted();
      const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      const length = await readFully(fileSystem, fd, buffer, position);
      if (length === 0) return;
      const chunk = buffer.subarray(0, length);
      hash.update(chunk);
      position += length;
      yield chunk;
    }
  } finally {
    await fileSystem.close(fd);
  }
}
