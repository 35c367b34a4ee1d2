/**
 * Unary calls at a fixed rate, whatever the server does: `node bench/paced-clients.ts '<PacedWish as JSON>'`. Prints a
 * PacedReport. What `send` cannot time (an RPC client in JavaScript takes more time than the daemon) and h2load does not
 * count (it starts the clock when a request is sent, not when it was due).
 *
 *   due[n] = start + n / rate          latency of n = end of its answer - due[n]
 *
 * Frames are made beforehand, answers are read only as far as END_STREAM, and the loop never sleeps: it needs cores of
 * its own. A message must fit into one frame. A request that finds no stream or no window free waits in line, and that wait is part of its latency.
 * Of an answer is looked at whether it has a message: an OK has one, what was refused has none.
 */
import { readFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Percentiles, percentilesOf } from './figures.ts';
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  FrameConnection,
  type FrameHandler,
  fail,
  frame,
  grpcHeaders,
  HEADERS,
} from './http2-frames.ts';

export interface PacedWish {
  /** host:port */
  readonly target: string;
  readonly path: string;
  /** The request as a gRPC message. */
  readonly messageFile: string;
  readonly requestsPerSecond: number;
  readonly connections: number;
  /** Where each connection comes from; left out, all from the one that the system chooses. */
  readonly addresses?: readonly string[];
  readonly threads: number;
  /** Not counted: until the code of both ends is compiled. */
  readonly warmUpMs: number;
  readonly durationMs: number;
}

export interface PacedReport {
  /** Due after the warm-up, all of them answered. */
  readonly requests: number;
  /** Of these and of those in the warm-up: answered without a message, which is an error's answer. */
  readonly refused: number;
  /** From when the first of them was due to the last answer. */
  readonly elapsedMs: number;
  readonly latencyMs: Percentiles;
  /** The same from when a request was written: what remains when the sender's own lateness is taken off. */
  readonly latencySinceSentMs: Percentiles;
}

interface ThreadResult {
  readonly refused: number;
  readonly elapsedMs: number;
  readonly latenciesUs: Uint32Array;
  readonly sinceSentUs: Uint32Array;
}

/** MAX_STREAMS_PER_CONNECTION of the daemon. */
const MOST_STREAMS = 100;
/** In the header of a frame. */
const STREAM_AT = 5;
/** Streams that a connection remembers when it sent them: none may be open while so many others come and go. */
const REMEMBERED = 65_536;
/** Requests that the memory for what is written holds: two windows of streams. */
const WRITTEN = 2 * MOST_STREAMS;
/** All threads begin together, when the slowest is surely there. */
const HEAD_START_MS = 500;

/** When the request that a connection sends as its nth is due. */
type Due = (n: number) => number;

class PacedConnection {
  readonly #connection: FrameConnection;
  /** The request, WRITTEN times over. */
  readonly #requests: Buffer;
  readonly #requestBytes: number;
  readonly #secondFrameAt: number;
  readonly #messageBytes: number;
  /** By the place of a stream: when it was sent. */
  readonly #sentMs = new Float64Array(REMEMBERED);
  #written = 0;
  #wanted = 0;
  #sent = 0;
  #messages = 0;
  #answers = 0;

  constructor(
    wish: PacedWish,
    message: Buffer,
    due: Due,
    onAnswer: (dueMs: number, sentMs: number) => void,
    from?: string,
  ) {
    this.#messageBytes = message.length;
    const headers = frame(HEADERS, END_HEADERS, 0, grpcHeaders(wish.path));
    this.#secondFrameAt = headers.length;
    const request = Buffer.concat([headers, frame(DATA, END_STREAM, 0, message)]);
    this.#requestBytes = request.length;
    this.#requests = Buffer.concat(Array<Buffer>(WRITTEN).fill(request));
    const handler: FrameHandler = {
      onFrame: (type, flags, stream) => {
        if (type === DATA) this.#messages++;
        if ((flags & END_STREAM) === 0) return;
        this.#answers++;
        const n = (stream - 1) / 2;
        if (n < this.#sent - REMEMBERED) fail('an answer came too late to know when its request was sent');
        onAnswer(due(n), this.#sentMs[n % REMEMBERED]!);
      },
      onTurn: () => {},
    };
    this.#connection = new FrameConnection(wish.target, handler, from);
  }

  get refused(): number {
    return this.#answers - this.#messages;
  }

  get isIdle(): boolean {
    return this.#answers === this.#wanted;
  }

  /** One more is due; `flush` sends what may go. */
  want(): void {
    this.#wanted++;
  }

  flush(): void {
    const underWay = this.#sent - this.#answers;
    const byWindow = Math.floor(this.#connection.windowBytes / this.#messageBytes);
    let count = Math.min(this.#wanted - this.#sent, MOST_STREAMS - underWay, byWindow);
    if (count <= 0) return;
    const { socket } = this.#connection;
    if (socket.writableLength === 0) this.#written = 0;
    // The rest when the system has taken what is written.
    count = Math.min(count, WRITTEN - this.#written);
    if (count === 0) return;
    const startAt = this.#written * this.#requestBytes;
    const nowMs = performance.now();
    for (let i = 0; i < count; i++) {
      const at = this.#written++ * this.#requestBytes;
      const stream = 2 * this.#sent + 1;
      this.#requests.writeUInt32BE(stream, at + STREAM_AT);
      this.#requests.writeUInt32BE(stream, at + this.#secondFrameAt + STREAM_AT);
      this.#sentMs[this.#sent++ % REMEMBERED] = nowMs;
    }
    this.#connection.windowBytes -= count * this.#messageBytes;
    socket.write(this.#requests.subarray(startAt, this.#written * this.#requestBytes));
  }

  end(): void {
    this.#connection.socket.destroy();
  }
}

/** One thread's share of it. `startAtMs` is by the wall clock, which all threads have in common. */
async function runThread(wish: PacedWish, startAtMs: number): Promise<ThreadResult> {
  const message = readFileSync(wish.messageFile);
  const total = Math.floor((wish.requestsPerSecond * (wish.warmUpMs + wish.durationMs)) / 1000);
  const firstCounted = Math.ceil((wish.requestsPerSecond * wish.warmUpMs) / 1000);
  if (total <= firstCounted) {
    throw new Error(`${wish.requestsPerSecond} requests/s: none is due within ${wish.durationMs} ms`);
  }
  const everyMs = 1000 / wish.requestsPerSecond;
  const latenciesUs = new Uint32Array(total - firstCounted);
  const sinceSentUs = new Uint32Array(total - firstCounted);
  const beginMs = performance.now() + (startAtMs - Date.now());
  const countFromMs = beginMs + firstCounted * everyMs;
  let answered = 0;
  const onAnswer = (dueMs: number, sentMs: number): void => {
    if (dueMs < countFromMs) return;
    const nowMs = performance.now();
    latenciesUs[answered] = (nowMs - dueMs) * 1000;
    sinceSentUs[answered++] = (nowMs - sentMs) * 1000;
  };
  const connections = Array.from({ length: wish.connections }, (_, i) => {
    const due = (n: number): number => beginMs + (n * wish.connections + i) * everyMs;
    return new PacedConnection(wish, message, due, onAnswer, wish.addresses?.[i]);
  });
  let next = 0;
  await new Promise<void>((resolve) => {
    const turn = (): void => {
      const nowMs = performance.now();
      for (; next < total && beginMs + next * everyMs <= nowMs; next++) {
        connections[next % connections.length]!.want();
      }
      for (const connection of connections) connection.flush();
      if (next === total && connections.every(({ isIdle }) => isIdle)) resolve();
      else setImmediate(turn);
    };
    turn();
  });
  const elapsedMs = performance.now() - countFromMs;
  for (const connection of connections) connection.end();
  return {
    refused: connections.reduce((sum, { refused }) => sum + refused, 0),
    elapsedMs,
    latenciesUs: latenciesUs.subarray(0, answered),
    sinceSentUs: sinceSentUs.subarray(0, answered),
  };
}

function joined(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

async function runAll(wish: PacedWish): Promise<PacedReport> {
  const startAtMs = Date.now() + HEAD_START_MS;
  const threads = Math.min(wish.threads, wish.connections);
  const results = await Promise.all(
    Array.from({ length: threads }, (_, index) => {
      const share = {
        ...wish,
        requestsPerSecond: wish.requestsPerSecond / threads,
        connections: Math.ceil((wish.connections - index) / threads),
        ...(wish.addresses === undefined
          ? {}
          : { addresses: wish.addresses.filter((_, i) => i % threads === index) }),
      };
      return new Promise<ThreadResult>((resolve, reject) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: { wish: share, startAtMs } });
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    }),
  );
  const latenciesUs = joined(results.map((result) => result.latenciesUs));
  return {
    requests: latenciesUs.length,
    refused: results.reduce((sum, { refused }) => sum + refused, 0),
    elapsedMs: Math.max(...results.map((result) => result.elapsedMs)),
    latencyMs: percentilesOf(latenciesUs),
    latencySinceSentMs: percentilesOf(joined(results.map((result) => result.sinceSentUs))),
  };
}

if (!isMainThread) {
  const { wish, startAtMs } = workerData as { readonly wish: PacedWish; readonly startAtMs: number };
  parentPort!.postMessage(await runThread(wish, startAtMs));
} else if (import.meta.filename === process.argv[1]) {
  console.log(JSON.stringify(await runAll(JSON.parse(process.argv[2] ?? '{}') as PacedWish)));
}
