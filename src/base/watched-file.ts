/**
 * A small file that others change while we run: a Secret that Kubernetes swaps by a symbolic link, a file that
 * somebody edits. Its content is read and compared once a second. Nothing else is sure to notice a link that is
 * swapped two folders up, a file that is replaced by a rename, and a network file system alike; and a read of
 * some kilobytes a second is nothing.
 *
 * Invariant: one look at a time, and `onContent` is called for every content that
 * differs from the last or follows a fault; `onFault` for every look that could not read, with why.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { Clock, Timer } from './clock.ts';
import { errorMessage } from './errors.ts';

export const LOOK_INTERVAL_MS = 1000;
/** Most such files need one. */
const PART_BYTES = 16 * 1024;

export interface WatchedFileEvents {
  onContent(text: string): void;
  onFault(reason: string): void;
}

/** The file's text. Throws what kept it from being read; one byte more than `maxBytes` is read of a larger one. */
export async function readSmallFile(path: string, maxBytes: number): Promise<string> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const parts: Buffer[] = [];
    for (let left = maxBytes + 1; left > 0; ) {
      const part = Buffer.allocUnsafe(Math.min(left, PART_BYTES));
      const { bytesRead } = await handle.read(part, 0, part.length, null);
      if (bytesRead === 0) break;
      parts.push(part.subarray(0, bytesRead));
      left -= bytesRead;
    }
    return Buffer.concat(parts).toString('utf8');
  } finally {
    await handle?.close();
  }
}

export class WatchedFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #events: WatchedFileEvents;
  #text: string | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  /** `text` is what was read at the start; `onContent` hears of others. */
  constructor(path: string, maxBytes: number, text: string, clock: Clock, events: WatchedFileEvents) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#text = text;
    this.#clock = clock;
    this.#events = events;
    this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (!this.#isClosed) this.#timer = this.#clock.setTimer(LOOK_INTERVAL_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    try {
      const text = await readSmallFile(this.#path, this.#maxBytes);
      if (text !== this.#text && !this.#isClosed) {
        this.#text = text;
        this.#events.onContent(text);
      }
    } catch (error) {
      // What comes next is told, also when it is what was there before.
      this.#text = undefined;
      if (!this.#isClosed) this.#events.onFault(errorMessage(error));
    } finally {
      this.#arm();
    }
  }
}
