/** A thread beside the writer that is as late as it can be: it writes when it is waited for, whatever the memory holds by then. */
import type { FileSystem } from '../../src/journal/file-system.ts';
import { RUN_MEMORY_BYTES, type RunMemory, type RunWriter, writeRun } from '../../src/journal/run-writer.ts';

export class DeferredRunWriter implements RunWriter {
  readonly isReady = true;
  readonly memories: readonly RunMemory[] = [0, 1].map(() => ({
    bytes: new Uint8Array(RUN_MEMORY_BYTES),
    start: undefined,
  }));
  readonly #fileSystem: FileSystem;
  #write: (() => number) | undefined;
  runs = 0;

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem;
  }

  begin(fd: number, memory: number, bytes: number, position: number): void {
    if (this.#write !== undefined) throw new Error('two runs at once');
    const { bytes: from, start } = this.memories[memory]!;
    this.#write = () => writeRun(this.#fileSystem, fd, from.subarray(start, start! + bytes), position);
    this.runs++;
  }

  end(): number {
    const write = this.#write!;
    this.#write = undefined;
    return write();
  }
}
