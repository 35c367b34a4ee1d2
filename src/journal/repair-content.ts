/**
 * Reads one damaged segment and, unless it is only asked what it would do, writes what is good of it anew.
 *
 *   judged pieces ──good──▶ draft in .journal, synced       (its hash, blocks, lines and times on the way)
 *                 └─damaged─▶ quarantine, synced
 *
 * Invariants:
 * 1. Good bytes go into the draft as they are, in their order: nothing is parsed and written again.
 * 2. Bytes the disk does not give are read as zeroes, so that their block or line is found damaged; the rest is read.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Block, BlockList } from './blocks.ts';
import { BLOCK_TARGET_BYTES } from './blocks.ts';
import type { FileSystem } from './file-system.ts';
import { writeFully } from './file-system.ts';
import type { Piece } from './judge.ts';
import { judge } from './judge.ts';
import type { Quarantine } from './quarantine.ts';
import type { RepairCut } from './repair-report.ts';
import type { SegmentName } from './segment-name.ts';
import { JOURNAL_FOLDER, segmentFile } from './segment-name.ts';
import { receivedAtOfLine } from './segment-scan.ts';
import type { ByteSource } from './segment-stream.ts';
import { decompressedChunks } from './segment-stream.ts';

const CHUNK_BYTES = 1024 * 1024;
const PAGE_BYTES = 4096;
/** A sidecar that speaks of bigger blocks is damaged itself. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

export interface ContentOptions {
  readonly name: SegmentName;
  readonly sidecar: BlockList;
  /** The file's hash is the recorded one. */
  readonly isVouched: boolean;
  /** Of a plain file: what follows was never valid. */
  readonly validBytes: number | undefined;
  /** Undefined: only look. */
  readonly writeTo: Quarantine | undefined;
}

export interface RepairedContent {
  readonly lines: number;
  readonly bytes: number;
  readonly blocks: readonly Block[];
  readonly cuts: readonly RepairCut[];
  readonly hasUnvouched: boolean;
  /** The compressed stream is, whatever came out of it. */
  readonly isBroken: boolean;
  readonly firstReceivedAtMs: number | null;
  readonly lastReceivedAtMs: number | null;
  /** Of what is good, uncompressed. */
  readonly sha256: string;
  /** Of the file that was read, as it lies. */
  readonly sourceSha256: string;
  readonly sourceBytes: number;
}

/** Where the draft lies; a start of the daemon removes one that was left. */
export function draftPath(folder: string, name: SegmentName): string {
  return join(folder, JOURNAL_FOLDER, `${segmentFile(name.base)}.tmp`);
}

export async function repairContent(
  fileSystem: FileSystem,
  folder: string,
  options: ContentOptions,
): Promise<RepairedContent> {
  const sourceFd = await fileSystem.open(join(folder, options.name.file), 'read');
  try {
    const source = new ForgivingSource(fileSystem, sourceFd);
    if (options.writeTo === undefined)
      return await new ContentRepair(fileSystem, source, options, undefined).run();
    const draftFd = await fileSystem.open(draftPath(folder, options.name), 'replace');
    try {
      const content = await new ContentRepair(fileSystem, source, options, draftFd).run();
      await fileSystem.sync(draftFd);
      return content;
    } finally {
      await fileSystem.close(draftFd);
    }
  } finally {
    await fileSystem.close(sourceFd);
  }
}

/** Gives zeroes where the disk gives an error. */
class ForgivingSource implements ByteSource {
  readonly #fileSystem: FileSystem;
  readonly #fd: number;
  /** It cannot even be said how long the file is. A decompressor would take that for the end of its bytes. */
  failure: unknown;

  constructor(fileSystem: FileSystem, fd: number) {
    this.#fileSystem = fileSystem;
    this.#fd = fd;
  }

  async read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }> {
    const target = buffer.subarray(offset, offset + length);
    try {
      return { bytesRead: await this.#fileSystem.read(this.#fd, target, position) };
    } catch {
      const { sizeBytes } = await this.#fileSystem.status(this.#fd).catch((error) => {
        this.failure = error;
        throw error;
      });
      const page = Math.min(PAGE_BYTES, length, sizeBytes - position);
      if (page <= 0) return { bytesRead: 0 };
      try {
        return { bytesRead: await this.#fileSystem.read(this.#fd, target.subarray(0, page), position) };
      } catch {
        target.fill(0, 0, page);
        return { bytesRead: page };
      }
    }
  }
}

class ContentRepair {
  readonly #fileSystem: FileSystem;
  readonly #source: ForgivingSource;
  readonly #options: ContentOptions;
  readonly #draftFd: number | undefined;
  readonly #hash = createHash('sha256');
  readonly #sourceHash = createHash('sha256');
  readonly #blocks: Block[] = [];
  readonly #cuts: RepairCut[] = [];
  #sourceBytes = 0;
  #bytes = 0;
  #lines = 0;
  #block = { offset: 0, bytes: 0, lines: 0, crc32: 0 };
  #hasUnvouched = false;
  #isBroken = false;
  #firstReceivedAtMs: number | null = null;
  #lastReceivedAtMs: number | null = null;
  /** Cuts whose next good reading is still to come. */
  #openCuts = 0;

  constructor(
    fileSystem: FileSystem,
    source: ForgivingSource,
    options: ContentOptions,
    draftFd: number | undefined,
  ) {
    this.#fileSystem = fileSystem;
    this.#source = source;
    this.#options = options;
    this.#draftFd = draftFd;
  }

  async run(): Promise<RepairedContent> {
    const { name, sidecar, isVouched } = this.#options;
    const tooBig = sidecar.blocks.findIndex(({ bytes }) => bytes > MAX_BLOCK_BYTES);
    const isDecompressed = name.compression !== 'none';
    const blocks = tooBig === -1 ? sidecar.blocks : sidecar.blocks.slice(0, tooBig);
    const onBroken = (): void => {
      this.#isBroken = true;
    };
    for await (const piece of judge(this.#chunks(), { blocks, isDecompressed, isVouched, onBroken })) {
      if (piece.verdict === 'damaged') await this.#cut(piece);
      else await this.#keep(piece);
    }
    if (this.#source.failure !== undefined) throw this.#source.failure;
    this.#endBlock();
    return {
      lines: this.#lines,
      bytes: this.#bytes,
      blocks: this.#blocks,
      cuts: this.#cuts,
      hasUnvouched: this.#hasUnvouched,
      isBroken: this.#isBroken,
      firstReceivedAtMs: this.#firstReceivedAtMs,
      lastReceivedAtMs: this.#lastReceivedAtMs,
      sha256: this.#hash.digest('hex'),
      sourceSha256: this.#sourceHash.digest('hex'),
      sourceBytes: this.#sourceBytes,
    };
  }

  async *#chunks(): AsyncGenerator<Buffer> {
    const { name, validBytes = Number.POSITIVE_INFINITY } = this.#options;
    if (name.compression !== 'none') {
      const onRaw = (chunk: Buffer): void => this.#hashSource(chunk);
      try {
        yield* decompressedChunks(this.#source, name.compression, onRaw);
      } finally {
        // A broken stream ends early; the hash is of the file, all of it.
        for await (const chunk of this.#rawChunks(this.#sourceBytes)) this.#hashSource(chunk);
      }
      return;
    }
    for await (const chunk of this.#rawChunks(0)) {
      const valid = Math.min(chunk.length, validBytes - this.#sourceBytes);
      this.#hashSource(chunk);
      if (valid > 0) yield chunk.subarray(0, valid);
    }
  }

  async *#rawChunks(from: number): AsyncGenerator<Buffer> {
    for (let at = from; ; ) {
      const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      const { bytesRead } = await this.#source.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  #hashSource(chunk: Buffer): void {
    this.#sourceHash.update(chunk);
    this.#sourceBytes += chunk.length;
  }

  async #keep({ bytes, lines, verdict }: Piece): Promise<void> {
    if (verdict === 'unvouched') this.#hasUnvouched = true;
    const first = receivedAtOfLine(bytes.subarray(0, bytes.indexOf(NEWLINE) + 1));
    for (; this.#openCuts > 0; this.#openCuts--) {
      const at = this.#cuts.length - this.#openCuts;
      this.#cuts[at] = { ...this.#cuts[at]!, beforeMs: first };
    }
    this.#firstReceivedAtMs ??= first;
    const lastStart = bytes.length < 2 ? 0 : bytes.lastIndexOf(NEWLINE, bytes.length - 2) + 1;
    this.#lastReceivedAtMs = receivedAtOfLine(bytes.subarray(lastStart)) ?? this.#lastReceivedAtMs;
    if (this.#draftFd !== undefined) await writeFully(this.#fileSystem, this.#draftFd, bytes, this.#bytes);
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
    this.#lines += lines;
    this.#block.bytes += bytes.length;
    this.#block.lines += lines;
    this.#block.crc32 = crc32(bytes, this.#block.crc32);
    if (this.#block.bytes >= BLOCK_TARGET_BYTES) this.#endBlock();
  }

  async #cut({ offset, bytes, lines, why }: Piece): Promise<void> {
    const file = segmentFile(this.#options.name.base);
    const savedAs = (await this.#options.writeTo?.keep({ file, offset, bytes, lines, why })) ?? null;
    const afterMs = this.#lastReceivedAtMs;
    this.#cuts.push({ offset, bytes: bytes.length, lines, why, savedAs, afterMs, beforeMs: null });
    this.#openCuts++;
  }

  #endBlock(): void {
    if (this.#block.bytes === 0) return;
    this.#blocks.push(this.#block);
    this.#block = { offset: this.#bytes, bytes: 0, lines: 0, crc32: 0 };
  }
}
