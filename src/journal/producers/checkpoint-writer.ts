/**
 * Writes a checkpoint of the producers whenever a segment is begun, and when the last one open was closed; also where
 * nobody numbers (yet): retention has to know that nobody does. A checkpoint that cannot be written costs
 * nothing but time at the next start, which then takes an older one and reads more, and room, since retention waits for
 * it; so faults here fail nothing.
 *
 * Invariants:
 * 1. A checkpoint knows only lines of segments that are closed, and so on the disk: it holds what was known when the
 *    oldest one that is not was begun. The page cache may keep a checkpoint and lose the lines it speaks of; a number
 *    that counts as taken then would be acknowledged to whoever sends it again, and be nowhere.
 *    One whose sync failed is closed and not on the disk until the archiver has written it again; one that recovery found so
 *    was not begun here, and what was known before it nobody knows: until then no checkpoint is written.
 * 2. What was under way just then it does not know. Those lines lie in the segments that were not closed at that time,
 *    or behind, so these are read again, though they may be closed by now.
 * 3. A checkpoint is never written over, only behind: one that is torn takes none with it that others may rely on.
 *
 *      segment   1 ──── closed        2 begun ─▶ what is known: a, of 1; under way: b, c
 *                1: a b     2: c      1 closed: the checkpoint of 3 has a, and has to be read from 1 on to find b
 *                                     all closed and none begun: behind that of 3 comes one that needs no segment
 */
import { join } from 'node:path';
import { systemErrorCode } from '../../base/errors.ts';
import type { FileSystem } from '../file-system.ts';
import { wroteNothing } from '../file-system.ts';
import { parseSegmentFile, producersFile } from '../segment-name.ts';
import { encodeCheckpoint } from './checkpoint.ts';
import type { ProducerRecord } from './producer-table.ts';

/** The newest may be torn by a power cut, the one before it too if that came soon; retention removes the rest. */
const KEPT_CHECKPOINTS = 3;

export interface KnownProducers {
  /** Also those of whom nothing is written yet. */
  readonly size: number;
  records(): readonly ProducerRecord[];
}

interface Known {
  readonly producers: readonly ProducerRecord[];
  readonly scanFrom: number;
}

export class CheckpointWriter {
  readonly #fileSystem: FileSystem;
  readonly #journalFolder: string;
  readonly #known: KnownProducers;
  readonly #onFault: (error: unknown) => void;
  /** Begun and not on the disk for sure, each with what was known when it was begun, and where the rest may lie. */
  readonly #open = new Map<number, Known | undefined>();
  /** The last that ended. */
  #ended: { readonly number: number; readonly file: string } | undefined;
  /** Paths of those that are whole. */
  readonly #kept: string[] = [];

  constructor(
    fileSystem: FileSystem,
    journalFolder: string,
    known: KnownProducers,
    onFault: (error: unknown) => void,
  ) {
    this.#fileSystem = fileSystem;
    this.#journalFolder = journalFolder;
    this.#known = known;
    this.#onFault = onFault;
  }

  segmentOpened(number: number, file: string): void {
    const oldest = Math.min(number, ...this.#open.keys());
    this.#open.set(number, { producers: this.#known.records(), scanFrom: oldest });
    const known = this.#open.get(oldest);
    // Nobody has numbered anything yet, so no line of theirs can be in a segment before this one.
    if (this.#known.size === 0) this.#write(number, file, { producers: [], scanFrom: number });
    else if (known !== undefined) this.#write(number, file, known);
  }

  segmentEnded(number: number, file: string): void {
    this.#ended = { number, file };
    if (this.#open.delete(number)) this.#allEnded();
  }

  /** It is closed, or was found so, and its sync failed. */
  segmentDoubted(number: number, file: string): void {
    this.#ended = { number, file };
    this.#open.set(number, this.#open.get(number));
  }

  /** One that was doubted is on the disk, or gone for good. */
  segmentSettled(number: number): void {
    if (this.#open.delete(number)) this.#allEnded();
  }

  /** When none is open, the last has a checkpoint that needs no segment. */
  #allEnded(): void {
    if (this.#open.size > 0 || this.#ended === undefined) return;
    const { number, file } = this.#ended;
    this.#write(number, file, { producers: this.#known.records(), scanFrom: number + 1 });
  }

  #write(segment: number, file: string, { producers, scanFrom }: Known): void {
    const path = join(this.#journalFolder, producersFile(parseSegmentFile(file)!.base));
    try {
      this.#append(path, encodeCheckpoint({ segment, scanFrom, producers }));
      if (this.#kept.at(-1) !== path) this.#kept.push(path);
      if (this.#kept.length > KEPT_CHECKPOINTS) this.#remove(this.#kept.shift()!);
    } catch (error) {
      this.#onFault(error);
    }
  }

  #append(path: string, bytes: Uint8Array): void {
    const fd = this.#fileSystem.openSync(path, 'write');
    try {
      const behind = this.#fileSystem.statusSync(fd).sizeBytes;
      for (let done = 0; done < bytes.length; ) {
        const count = this.#fileSystem.writevSync(fd, [bytes.subarray(done)], behind + done);
        if (count <= 0) throw wroteNothing();
        done += count;
      }
    } finally {
      this.#fileSystem.closeSync(fd);
    }
  }

  /** Retention may have been faster. */
  #remove(path: string): void {
    try {
      this.#fileSystem.unlinkSync(path);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
  }
}
