/**
 * A run at a time goes to a thread that does nothing but write: memory and words that both threads see.
 *
 *          serveRuns()          begin()           written, or failed          begin()
 *   STARTING ─────────▶ WAITING ────────▶ BEGUN ──────────────────────▶ ENDED ────────▶ BEGUN ...
 *      any ──close()──▶ CLOSED: serveRuns() returns      any ──the thread ends──▶ GONE
 *
 * Invariants:
 * 1. The writer's thread writes the words while nothing is under way, the other one between BEGUN and ENDED.
 * 2. After GONE nothing is begun any more. A run that was under way counts as failed: nobody knows how much of it is in the file,
 *    and what is behind its last acknowledged byte is cut off like after any fault. A thread that V8 ends for want of memory in the
 *    midst of a run says nothing; it has next to none to want, and the writer's silence would end readiness.
 * 3. A disk that stands still holds up the writer as a blocking write would.
 */
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import type { FileSystem } from './file-system.ts';
import { RUN_MEMORY_BYTES, type RunMemory, type RunWriter, writeRun } from './run-writer.ts';

const STARTING = 0;
const WAITING = 1;
const BEGUN = 2;
const ENDED = 3;
const CLOSED = 4;
const GONE = 5;

/** Places of words of 32 bits. */
const STATE = 0;
const FD = 1;
const MEMORY = 2;
const START = 3;
const BYTES = 4;
/** Bytes that were taken, or errno below zero. */
const RESULT = 5;
/** In doubles. */
const POSITION = 3;
const CONTROL_BYTES = 32;

/** Two: one is written while the other is filled. */
const MEMORIES = 2;
export const SHARED_RUN_BYTES = MEMORIES * RUN_MEMORY_BYTES;

/** For an error that no errno belongs to. */
const NO_ERRNO = -1_000_000;

export interface SharedRuns {
  readonly control: SharedArrayBuffer;
  readonly memories: readonly SharedArrayBuffer[];
}

export function sharedRuns(): SharedRuns {
  return {
    control: new SharedArrayBuffer(CONTROL_BYTES),
    memories: Array.from({ length: MEMORIES }, () => new SharedArrayBuffer(RUN_MEMORY_BYTES)),
  };
}

/** The writer's side. */
export class RunControl implements RunWriter {
  readonly memories: readonly RunMemory[];
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  constructor(shared: SharedRuns) {
    this.#words = new Int32Array(shared.control);
    this.#doubles = new Float64Array(shared.control);
    this.memories = shared.memories.map((memory) => ({ bytes: new Uint8Array(memory), start: undefined }));
  }

  get isReady(): boolean {
    const state = Atomics.load(this.#words, STATE);
    return state === WAITING || state === ENDED;
  }

  begin(fd: number, memory: number, bytes: number, position: number): void {
    const words = this.#words;
    words[FD] = fd;
    words[MEMORY] = memory;
    words[START] = this.memories[memory]!.start!;
    words[BYTES] = bytes;
    this.#doubles[POSITION] = position;
    // Not where the thread ended since: `end` says so then.
    const state = Atomics.load(words, STATE);
    if (state !== GONE && Atomics.compareExchange(words, STATE, state, BEGUN) === state) {
      Atomics.notify(words, STATE);
    }
  }

  end(): number {
    const words = this.#words;
    while (Atomics.load(words, STATE) === BEGUN) Atomics.wait(words, STATE, BEGUN);
    if (Atomics.load(words, STATE) !== ENDED) throw writeError('EIO', 'the thread that writes is gone');
    const result = words[RESULT]!;
    if (result >= 0) return result;
    if (result === NO_ERRNO) throw writeError('EIO', 'the write failed');
    throw writeError(getSystemErrorName(result), `${getSystemErrorMessage(result)}, write`);
  }

  /** Nothing is under way. */
  close(): void {
    Atomics.store(this.#words, STATE, CLOSED);
    Atomics.notify(this.#words, STATE);
  }

  /** The thread has ended, whatever it said. */
  gone(): void {
    Atomics.store(this.#words, STATE, GONE);
  }
}

/** What the thread does until it is closed. */
export function serveRuns(shared: SharedRuns, fileSystem: FileSystem): void {
  const words = new Int32Array(shared.control);
  const doubles = new Float64Array(shared.control);
  const memories = shared.memories.map((memory) => new Uint8Array(memory));
  process.once('exit', () => {
    Atomics.store(words, STATE, GONE);
    Atomics.notify(words, STATE);
  });
  Atomics.compareExchange(words, STATE, STARTING, WAITING);
  for (;;) {
    const state = Atomics.load(words, STATE);
    if (state === CLOSED) return;
    if (state !== BEGUN) {
      Atomics.wait(words, STATE, state);
      continue;
    }
    const start = words[START]!;
    const run = memories[words[MEMORY]!]!.subarray(start, start + words[BYTES]!);
    words[RESULT] = written(fileSystem, words[FD]!, run, doubles[POSITION]!);
    Atomics.store(words, STATE, ENDED);
    Atomics.notify(words, STATE);
  }
}

function written(fileSystem: FileSystem, fd: number, run: Uint8Array, position: number): number {
  try {
    return writeRun(fileSystem, fd, run, position);
  } catch (error) {
    return (error as NodeJS.ErrnoException).errno ?? NO_ERRNO;
  }
}

function writeError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}`), { code, syscall: 'write' });
}
