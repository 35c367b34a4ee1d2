/**
 * Where log lines go: a file descriptor, or a file that pino-roll rotates. Both write synchronously:
 * when `write` returns, the line has left the process, so the line before an exit or a crash is never
 * lost. That is affordable because nothing is logged per reading and repeated faults are summarised.
 *
 * Invariants:
 * 1. `write` never throws, and waits for a full pipe only briefly: a log that nobody reads must not stop
 *    the daemon. (A socket, as systemd gives one, still blocks: it cannot be opened anew.)
 * 2. Lines that were dropped are counted.
 * 3. A line that was written in part is ended before the next begins.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import pinoRoll, { type RollingFile } from 'pino-roll';
import { systemErrorCode } from '../base/errors.ts';
import type { ObserveConfig } from './config.ts';

export interface LogDestination {
  write(line: string): void;
  /** Everything is on its way to the disk; further lines go to standard error. */
  close(): Promise<void>;
  readonly droppedLines: number;
}

export type WriteChunk = (fd: number, bytes: Uint8Array, offset: number) => number;

/** A reader that is slow for a moment is waited for; one that is stuck loses lines instead of stopping us. */
const FULL_PIPE_PAUSE_MS = 5;
const FULL_PIPE_TRIES = 20;

export class DescriptorDestination implements LogDestination {
  readonly #fd: number;
  readonly #writeChunk: WriteChunk;
  readonly #encoder = new TextEncoder();
  #isTorn = false;
  #isReaderGone = false;
  /** The last line found the pipe full for long: the next ones do not wait again. */
  #isStuck = false;
  #droppedLines = 0;

  constructor(fd: number, writeChunk: WriteChunk = writeSync) {
    this.#fd = fd;
    this.#writeChunk = writeChunk;
  }

  get droppedLines(): number {
    return this.#droppedLines;
  }

  write(line: string): void {
    if (this.#isReaderGone) {
      this.#droppedLines++;
      return;
    }
    const bytes = this.#encoder.encode(this.#isTorn ? `\n${line}` : line);
    let offset = 0;
    let tries = 0;
    while (offset < bytes.length) {
      try {
        const written = this.#writeChunk(this.#fd, bytes, offset);
        offset += written;
        if (written > 0) tries = 0;
      } catch (error) {
        const code = systemErrorCode(error);
        if (code === 'EINTR') continue;
        if (code === 'EAGAIN' && !this.#isStuck && ++tries <= FULL_PIPE_TRIES) {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE_MS);
          continue;
        }
        this.#isStuck = code === 'EAGAIN';
        this.#isReaderGone = code === 'EPIPE' || code === 'EBADF';
        this.#droppedLines++;
        if (offset > 0) this.#isTorn = true;
        return;
      }
    }
    this.#isTorn = false;
    this.#isStuck = false;
  }

  async close(): Promise<void> {}
}

/**
 * A pipe is opened anew without blocking: a write to one that nobody reads would otherwise stop this
 * thread for as long. Opened anew and not switched, because other processes share the flags of the old one.
 */
export function openDescriptor(fd: number): DescriptorDestination {
  try {
    if (fstatSync(fd).isFIFO()) {
      return new DescriptorDestination(
        openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK),
      );
    }
  } catch {
    // No /proc, or a pipe of another user: like a socket, it blocks while it is full.
  }
  return new DescriptorDestination(fd);
}

/** What waits in memory while the log's disk is full; beyond it lines are dropped and counted. */
const FILE_BACKLOG_BYTES = 1024 * 1024;
const FILE_CLOSE_TIMEOUT_MS = 2000;

class RollingDestination implements LogDestination {
  readonly #file: RollingFile;
  readonly #standardError = new DescriptorDestination(2);
  #droppedLines = 0;
  #isFaulty = false;
  #isClosed = false;

  constructor(file: RollingFile) {
    this.#file = file;
    file.on('error', (error: Error) => {
      if (!this.#isFaulty) {
        this.#standardError.write(
          `telemetry-sink: the log file ${file.file ?? ''} cannot be written: ${error.message}\n`,
        );
      }
      this.#isFaulty = true;
    });
    file.on('write', () => {
      this.#isFaulty = false;
    });
    file.on('drop', () => {
      this.#droppedLines++;
    });
  }

  get droppedLines(): number {
    return this.#droppedLines;
  }

  write(line: string): void {
    if (this.#isClosed) this.#standardError.write(line);
    else this.#file.write(line);
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    return new Promise((resolve) => {
      // With the log's disk full, 'close' never comes; the exit must not wait for it.
      const timeout = setTimeout(resolve, FILE_CLOSE_TIMEOUT_MS);
      this.#file.once('close', () => {
        clearTimeout(timeout);
        resolve();
      });
      this.#file.end();
    });
  }
}

/** Throws the system's error when the file cannot be opened. */
export async function openRollingFile(config: ObserveConfig): Promise<LogDestination> {
  const file = await pinoRoll({
    file: config.logFile,
    mkdir: true,
    sync: true,
    maxLength: FILE_BACKLOG_BYTES,
    ...(config.logFileRotateBytes > 0 ? { size: `${config.logFileRotateBytes}b` } : {}),
    ...(config.logFileRotateEvery === 'never'
      ? {}
      : {
          frequency: config.logFileRotateEvery,
          dateFormat: config.logFileRotateEvery === 'daily' ? 'yyyy-MM-dd' : 'yyyy-MM-dd-HH',
        }),
    // Those of earlier runs count too, or each restart would keep its own share for ever.
    ...(config.logFileKeep > 0 ? { limit: { count: config.logFileKeep, removeOtherLogFiles: true } } : {}),
  });
  return new RollingDestination(file);
}
