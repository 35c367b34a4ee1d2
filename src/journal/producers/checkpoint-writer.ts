/**
 * Writes a checkpoint of the producers whenever a segment is begun. A checkpoint that cannot be written costs nothing
 * but time at the next start, which then takes an older one and reads more; so faults here fail nothing.
 */
import { join } from 'node:path';
import type { FileSystem } from '../file-system.ts';
import { wroteNothing } from '../file-system.ts';
import { parseSegmentFile, producersFile } from '../segment-name.ts';
import { encodeCheckpoint } from './checkpoint.ts';
import type { ProducerRecord } from './producer-table.ts';

/** The newest may be torn by a power cut, the one before it too if that came soon; retention removes the rest. */
const KEPT_CHECKPOINTS = 3;

export class CheckpointWriter {
  readonly #fileSystem: FileSystem;
  readonly #journalFolder: string;
  readonly #records: () => readonly ProducerRecord[];
  readonly #onFault: (error: unknown) => void;
  /** Begun and not closed: their lines may not all be in a checkpoint that is written now. */
  readonly #open = new Set<number>();
  #written: string[] = [];

  constructor(
    fileSystem: FileSystem,
    journalFolder: string,
    records: () => readonly ProducerRecord[],
    onFault: (error: unknown) => void,
  ) {
    this.#fileSystem = fileSystem;
    this.#journalFolder = journalFolder;
    this.#records = records;
    this.#onFault = onFault;
  }

  segmentOpened(number: number, file: string): void {
    this.#open.add(number);
    const producers = this.#records();
    if (producers.length === 0) return;
    const path = join(this.#journalFolder, producersFile(parseSegmentFile(file)!.base));
    try {
      this.#write(path, encodeCheckpoint({ segment: number, scanFrom: Math.min(...this.#open), producers }));
      this.#written.push(path);
      if (this.#written.length > KEPT_CHECKPOINTS) this.#fileSystem.unlinkSync(this.#written.shift()!);
    } catch (error) {
      this.#onFault(error);
    }
  }

  segmentEnded(number: number): void {
    this.#open.delete(number);
  }

  #write(path: string, bytes: Uint8Array): void {
    const fd = this.#fileSystem.openSync(path, 'replace');
    try {
      for (let done = 0; done < bytes.length; ) {
        const count = this.#fileSystem.writevSync(fd, [bytes.subarray(done)], done);
        if (count <= 0) throw wroteNothing();
        done += count;
      }
    } finally {
      this.#fileSystem.closeSync(fd);
    }
  }
}
