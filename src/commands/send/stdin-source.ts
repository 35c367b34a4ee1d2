/**
 * Standard input as a source of requests: lines are gathered to requests of `readingsPerRequest`; what
 * stands half full goes out after LINGER_MS, so that a live feed is not held back.
 *
 * Invariants:
 *   1. At most QUEUE_REQUESTS prepared requests wait; then the input is not read (a pipe's writer waits).
 *   2. Readings keep the order of their lines within a request, and requests are taken in that order.
 */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Clock, Timer } from '../../base/clock.ts';
import { labelFields, RequestEncoder, sensorNameField } from './request-encoder.ts';
import type { PreparedRequest, RequestSource } from './request-source.ts';
import { LineFault, parseStdinLine } from './stdin-line.ts';

const LINGER_MS = 200;
const QUEUE_REQUESTS = 64;
/** A request is closed early at this size: well below the daemon's default limit of 4 MiB. */
const REQUEST_BYTES = 1024 * 1024;

export interface StdinSourceOptions {
  readonly readingsPerRequest: number;
  /** Undefined: as fast as they come. */
  readonly requestsPerSecond: number | undefined;
  /** Ends at the first faulty line instead of skipping it. */
  readonly isStrict: boolean;
}

export class StdinSource implements RequestSource {
  readonly totalReadings = undefined;
  onChange: (() => void) | undefined = undefined;
  faultyLines = 0;

  readonly #options: StdinSourceOptions;
  readonly #clock: Clock;
  readonly #onFault: (line: number, what: string) => void;
  readonly #encoder = new RequestEncoder();
  readonly #queue: { readonly request: PreparedRequest; readonly readyMs: number }[] = [];
  #isInputEnded = false;
  #isClosed = false;
  #lastIntendedMs = Number.NEGATIVE_INFINITY;
  /** The request being filled. */
  #readings = 0;
  #firstLine = 0;
  #lastLine = 0;
  #lingerTimer: Timer | undefined;
  #onRoom: (() => void) | undefined;
  #input: ReturnType<typeof createInterface> | undefined;

  constructor(options: StdinSourceOptions, clock: Clock, onFault: (line: number, what: string) => void) {
    this.#options = options;
    this.#clock = clock;
    this.#onFault = onFault;
    this.#encoder.begin();
  }

  get ready(): boolean {
    return this.#queue.length > 0;
  }

  get ended(): boolean {
    return this.#isInputEnded && !this.ready;
  }

  /** Not before the line was there, and one interval after the request before. */
  nextIntendedMs(): number {
    const rate = this.#options.requestsPerSecond;
    const intervalMs = rate === undefined ? 0 : 1000 / rate;
    return Math.max(this.#lastIntendedMs + intervalMs, this.#queue[0]!.readyMs);
  }

  take(): PreparedRequest {
    this.#lastIntendedMs = this.nextIntendedMs();
    const { request } = this.#queue.shift()!;
    this.#onRoom?.();
    return request;
  }

  /** Reads `stream` to its end, or until close(). */
  async read(stream: Readable): Promise<void> {
    this.#input = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
    let number = 0;
    try {
      for await (const text of this.#input) {
        number++;
        if (this.#isClosed) break;
        if (text.trim() !== '' && !this.#addLine(text, number) && this.#options.isStrict) break;
        if (this.#queue.length >= QUEUE_REQUESTS) await this.#room();
      }
    } finally {
      this.#input.close();
      this.#closeRequest();
      this.#isInputEnded = true;
      this.onChange?.();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#input?.close();
    this.#onRoom?.();
  }

  #addLine(text: string, number: number): boolean {
    try {
      const reading = parseStdinLine(text, this.#clock.nowMs());
      this.#encoder.setValue(reading.value);
      const labels = labelFields(reading.labels);
      this.#encoder.append(sensorNameField(reading.sensorName), reading.seconds, reading.nanos, labels);
    } catch (error) {
      if (!(error instanceof LineFault)) throw error;
      this.faultyLines++;
      this.#onFault(number, error.message);
      return false;
    }
    if (this.#readings === 0) {
      this.#firstLine = number;
      this.#lingerTimer = this.#clock.setTimer(LINGER_MS, () => this.#closeRequest());
    }
    this.#readings++;
    this.#lastLine = number;
    const isFull =
      this.#readings >= this.#options.readingsPerRequest || this.#encoder.lengthBytes >= REQUEST_BYTES;
    if (isFull) this.#closeRequest();
    return true;
  }

  #closeRequest(): void {
    this.#lingerTimer?.cancel();
    if (this.#readings === 0) return;
    const identity = { first_line: this.#firstLine, last_line: this.#lastLine, count: this.#readings };
    const request = { body: this.#encoder.finish(), readings: this.#readings, identity };
    this.#queue.push({ request, readyMs: this.#clock.monotonicMs() });
    this.#readings = 0;
    this.#encoder.begin();
    this.onChange?.();
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRoom = () => {
        this.#onRoom = undefined;
        resolve();
      };
    });
  }
}
