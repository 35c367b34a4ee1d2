/** Checks one segment file against its record and its sidecar, in one read pass and bounded memory. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { readFile } from 'node:fs/promises';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { sidecarPath } from './archive-recovery.ts';
import type { BlockList } from './blocks.ts';
import { parseBlocks } from './blocks.ts';
import type { SegmentView } from './folder-view.ts';
import type { ManifestRecord } from './manifest.ts';
import { openSegmentFile } from './reader.ts';
import { decompressedChunks, plainChunks } from './segment-stream.ts';
import type { BlockFault } from './verify-blocks.ts';
import { BlockChecker } from './verify-blocks.ts';

export type FaultKind =
  | 'manifest' // a line of the manifest cannot be read
  | 'missing' // in the manifest, not in the folder
  | 'unlisted' // in the folder, not in the manifest, and not the open segment
  | 'superfluous' // a file the manifest has replaced or deleted
  | 'gap' // a number nobody accounts for
  | 'read' // the operating system would not give the bytes
  | 'size' // not as long as recorded
  | 'sha256' // not the bytes recorded
  | 'decompress' // the compressed stream is broken
  | 'bytes' // not as many valid bytes as recorded
  | 'lines' // not as many lines as recorded
  | 'sidecar' // missing, damaged, or not covering the segment
  | BlockFault['kind'];

export interface Fault {
  readonly kind: FaultKind;
  readonly file: string;
  readonly segment: number | null;
  /** The block's first byte, counted uncompressed. */
  readonly offset: number | null;
  /** The same place in the file as it lies, where that can be said: in an uncompressed file. */
  readonly fileOffset: number | null;
  readonly message: string;
}

export interface SegmentCheck {
  readonly faults: readonly Fault[];
  readonly lines: number;
  readonly bytes: number;
  readonly fileBytes: number;
}

export interface CheckOptions {
  readonly isQuick: boolean;
  /** Bytes read from files, as they lie. */
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** Undefined when the file is not there. `isOpen`: it may be growing, and an unfinished last line is no fault. */
export async function checkSegment(
  folder: string,
  segment: SegmentView,
  isOpen: boolean,
  options: CheckOptions,
): Promise<SegmentCheck | undefined> {
  // Sidecar before data: blocks are written after their data, so whatever it names must be there by then.
  const sidecar = await readSidecar(folder, segment.file);
  const handle = await openSegmentFile(folder, segment.file);
  if (handle === undefined) return undefined;
  try {
    return await new SegmentChecker(handle, segment, sidecar, isOpen, options).check();
  } finally {
    await handle.close();
  }
}

/** Undefined when there is none. */
async function readSidecar(folder: string, file: string): Promise<BlockList | undefined> {
  try {
    return parseBlocks(await readFile(sidecarPath(folder, file)));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

class SegmentChecker {
  readonly #handle: FileHandle;
  readonly #segment: SegmentView;
  readonly #record: ManifestRecord | undefined;
  readonly #sidecar: BlockList | undefined;
  readonly #isOpen: boolean;
  readonly #options: CheckOptions;
  readonly #faults: Fault[] = [];
  readonly #blocks: BlockChecker;

  constructor(
    handle: FileHandle,
    segment: SegmentView,
    sidecar: BlockList | undefined,
    isOpen: boolean,
    options: CheckOptions,
  ) {
    this.#handle = handle;
    this.#segment = segment;
    this.#record = segment.record;
    this.#sidecar = sidecar;
    this.#isOpen = isOpen;
    this.#options = options;
    this.#blocks = new BlockChecker(sidecar?.blocks ?? [], options.isQuick, (fault) =>
      this.#fault(fault.kind, `block of ${fault.bytes} bytes: ${fault.message}`, fault.offset),
    );
  }

  async check(): Promise<SegmentCheck> {
    const { size } = await this.#handle.stat();
    const record = this.#record;
    if (record !== undefined && size !== record.fileBytes) {
      this.#fault('size', `${size} bytes long, the manifest says ${record.fileBytes}`, null);
    }
    const hash = createHash('sha256');
    let isReadWhole = true;
    try {
      if (this.#segment.compression === 'none') await this.#readPlain(size, hash);
      else await this.#readCompressed(this.#segment.compression, hash);
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      isReadWhole = false;
      const isCodec = systemErrorCode(error).startsWith('Z') || error instanceof RangeError;
      // The block in which the bytes ran out.
      this.#fault(isCodec ? 'decompress' : 'read', errorMessage(error), this.#blocks.blockOffset);
    }
    const lastBlockOffset = this.#blocks.blockOffset;
    const rest = this.#blocks.end();
    if (rest.length > 0 && !this.#isOpen && isReadWhole) {
      this.#fault('line', `${rest.length} bytes after the last newline`, this.#blocks.bytes - rest.length);
    }
    if (record !== undefined && isReadWhole) this.#compareTotals(record, rest.length, lastBlockOffset);
    const sha256 = hash.digest('hex');
    if (record !== undefined && sha256 !== record.sha256) {
      this.#fault('sha256', `sha256 is ${sha256}, the manifest says ${record.sha256}`, null);
    }
    this.#compareSidecar(rest.length);
    const { lines, blockOffset } = this.#blocks;
    return { faults: this.#faults, lines, bytes: blockOffset, fileBytes: size };
  }

  async #readPlain(size: number, hash: ReturnType<typeof createHash>): Promise<void> {
    const validBytes = this.#record?.bytes ?? size;
    let position = 0;
    for await (const chunk of plainChunks(this.#handle, 0, size)) {
      this.#options.signal?.throwIfAborted();
      if (this.#record !== undefined) hash.update(chunk);
      this.#blocks.feed(chunk.subarray(0, Math.max(0, validBytes - position)));
      position += chunk.length;
      this.#options.onBytes(chunk.length);
    }
  }

  async #readCompressed(compression: 'gzip' | 'zstd', hash: ReturnType<typeof createHash>): Promise<void> {
    let hashedBytes = 0;
    const onRaw = (chunk: Buffer): void => {
      hash.update(chunk);
      hashedBytes += chunk.length;
      this.#options.onBytes(chunk.length);
    };
    try {
      for await (const chunk of decompressedChunks(this.#handle, compression, onRaw)) {
        this.#options.signal?.throwIfAborted();
        this.#blocks.feed(chunk);
      }
    } finally {
      // A broken stream ends early; the hash is of the file, all of it.
      for await (const chunk of plainChunks(this.#handle, hashedBytes)) onRaw(chunk);
    }
  }

  #compareTotals(record: ManifestRecord, restBytes: number, lastBlockOffset: number): void {
    const bytes = this.#blocks.blockOffset + restBytes;
    if (bytes !== record.bytes) {
      this.#fault('bytes', `${bytes} bytes, the manifest says ${record.bytes}`, lastBlockOffset);
    }
    if (this.#blocks.lines !== record.lines) {
      this.#fault('lines', `${this.#blocks.lines} lines, the manifest says ${record.lines}`, null);
    }
  }

  #compareSidecar(restBytes: number): void {
    const sidecar = this.#sidecar;
    if (sidecar === undefined) {
      // A segment without a valid line, as a torn one may be, has no blocks to list.
      const hasBlocks = this.#record?.bytes !== 0;
      if (!this.#isOpen && hasBlocks) this.#fault('sidecar', 'its sidecar is missing', null);
      return;
    }
    const known = sidecar.blocks.length;
    if (sidecar.end === 'damaged') {
      this.#fault('sidecar', `its sidecar cannot be read after ${known} blocks`, sidecar.coveredBytes);
    }
    const covered = this.#record?.bytes;
    if (covered !== undefined && sidecar.coveredBytes !== covered && sidecar.end !== 'damaged') {
      const text = `its sidecar covers ${sidecar.coveredBytes} of ${covered} bytes`;
      this.#fault('sidecar', text, Math.min(sidecar.coveredBytes, covered));
    }
    if (this.#record === undefined && this.#blocks.blocksSeen < known) {
      // A closed segment says the same by its size; an open one only here.
      const at = this.#blocks.blockOffset;
      this.#fault(
        'bytes',
        `ends after ${at + restBytes} bytes, its sidecar covers ${sidecar.coveredBytes}`,
        at,
      );
    }
  }

  #fault(kind: FaultKind, message: string, offset: number | null): void {
    const { file, number, compression } = this.#segment;
    const fileOffset = compression === 'none' ? offset : null;
    this.#faults.push({ kind, file, segment: number, offset, fileOffset, message });
  }
}
