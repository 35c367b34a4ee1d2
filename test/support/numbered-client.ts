/**
 * A client that numbers its readings, as docs/clients.md describes it: a few requests under way, each repeated until it is
 * acknowledged, over whatever connection there is; at ABORTED it goes on with the number that is expected.
 *
 * Invariant: `acknowledged` is the highest number up to which everything was acknowledged.
 */
import { status } from '@grpc/grpc-js';
import { type CallResult, TestClient } from './grpc-client.ts';
import { int64Value, item, measurement } from './reading-bytes.ts';
import { bytesField, varintField } from './wire-bytes.ts';

/** Requests under way at once, once the first has been acknowledged. */
const WINDOW = 4;
const RETRY_MS = 25;
const DEADLINE_MS = 10_000;

interface Request {
  readonly first: number;
  readonly last: number;
}

export class NumberedClient {
  readonly producerId: string;
  /** What no server that keeps its word would answer. */
  readonly faults: string[] = [];
  acknowledged = 0;
  repeats = 0;
  readonly #client: TestClient;
  readonly #readingsPerRequest: number;
  #requests: Request[] = [];
  #next = 1;
  #isClosing = false;
  #onProgress: (() => void)[] = [];

  constructor(target: string, producerId: string, readingsPerRequest: number) {
    this.producerId = producerId;
    this.#readingsPerRequest = readingsPerRequest;
    this.#client = new TestClient(target, {
      'grpc.initial_reconnect_backoff_ms': 20,
      'grpc.max_reconnect_backoff_ms': 100,
    });
    this.#fill();
  }

  /** Resolves when `count` more readings than now are acknowledged. */
  async progress(count: number): Promise<void> {
    const goal = this.acknowledged + count;
    while (this.acknowledged < goal) await this.#wait();
  }

  /** For an acknowledgement. Throws when one is no longer to be had. */
  async #wait(): Promise<void> {
    if (this.faults.length > 0) throw new Error(`${this.producerId}: ${this.faults[0]}`);
    await new Promise<void>((resolve) => this.#onProgress.push(resolve));
  }

  /** Begins nothing new; resolves when everything that was begun is acknowledged. */
  async finish(): Promise<void> {
    this.#isClosing = true;
    while (this.#requests.length > 0) await this.#wait();
    this.#client.close();
  }

  close(): void {
    this.#isClosing = true;
    this.#requests = [];
    this.#client.close();
  }

  #fill(): void {
    // The first one alone: where a producer begins must be clear before its requests overtake one another.
    const window = this.acknowledged === 0 ? 1 : WINDOW;
    while (!this.#isClosing && this.#requests.length < window) {
      const first = this.#next;
      this.#next += this.#readingsPerRequest;
      const request: Request = { first, last: this.#next - 1 };
      this.#requests.push(request);
      void this.#send(request);
    }
  }

  async #send(request: Request): Promise<void> {
    while (this.#requests.includes(request)) {
      const result = await this.#client.send(this.#encode(request), { deadline: Date.now() + DEADLINE_MS });
      if (result.code === status.OK) {
        this.#done(request);
        return;
      }
      this.#look(request, result);
      this.repeats++;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  #done(request: Request): void {
    this.#requests = this.#requests.filter((other) => other !== request);
    this.acknowledged = (this.#requests[0]?.first ?? this.#next) - 1;
    this.#fill();
    for (const wake of this.#onProgress.splice(0)) wake();
  }

  #look(request: Request, result: CallResult): void {
    this.#judge(request, result);
    if (this.faults.length > 0) for (const wake of this.#onProgress.splice(0)) wake();
  }

  #judge(request: Request, { code, message, errorInfo }: CallResult): void {
    if (
      code === status.UNAVAILABLE ||
      code === status.DEADLINE_EXCEEDED ||
      code === status.RESOURCE_EXHAUSTED
    )
      return;
    if (code === status.CANCELLED || code === status.INTERNAL) return; // the connection went away under it
    const { metadata } = (errorInfo ?? {}) as { readonly metadata?: { readonly expected_sequence?: string } };
    const expected = Number(metadata?.expected_sequence);
    // Everything from there on is under way or waits for its retry; what lies before must never be asked for again.
    if (code !== status.ABORTED || Number.isNaN(expected))
      this.faults.push(`${request.first}: ${code} ${message}`);
    else if (expected <= this.acknowledged) {
      this.faults.push(`${expected} is expected, and everything up to ${this.acknowledged} was acknowledged`);
    }
  }

  #encode({ first, last }: Request): Uint8Array {
    const items: number[] = [];
    for (let n = first; n <= last; n++) items.push(...item(this.producerId, measurement(int64Value(n))));
    return Uint8Array.from([...items, ...bytesField(2, this.producerId), ...varintField(3, first)]);
  }
}
