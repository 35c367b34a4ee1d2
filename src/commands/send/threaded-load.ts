/**
 * A load spread over threads. Thread t of T sends the requests t, t+T, ... of the one plan on its share
 * of the connections; grpc-js spends most of a core on some 15,000 requests/s, so more needs more threads.
 *
 * Invariant: figures are those the threads last reported; after `run` they are complete.
 */
import { Worker } from 'node:worker_threads';
import { SinkError } from '../../base/errors.ts';
import { workerEntry } from '../../base/worker-entry.ts';
import type { Counters } from './counters.ts';
import { newCounters, sumCounters } from './counters.ts';
import { LatencyHistogram } from './latency.ts';
import type { Load, LoadResult } from './load.ts';
import { plannedReadings } from './local-load.ts';
import type { LoadPlan } from './plan.ts';
import type { FromLoadThread, LoadThreadData, ToLoadThread } from './thread-messages.ts';

/** Time for `run` to reach every thread before the first request is due. */
const START_LEAD_MS = 20;

class LoadThread {
  counters: Counters = newCounters();
  recentLatency: string[] = [];
  readonly connected = Promise.withResolvers<void>();
  readonly done = Promise.withResolvers<Extract<FromLoadThread, { kind: 'done' }>>();
  readonly #worker: Worker;

  constructor(data: LoadThreadData, onWaiting: (target: string) => void) {
    this.#worker = new Worker(workerEntry('load-thread', import.meta.url), { workerData: data });
    // Both may be rejected while only one of them is awaited.
    this.connected.promise.catch(() => undefined);
    this.done.promise.catch(() => undefined);
    this.#worker.on('message', (message: FromLoadThread) => this.#onMessage(message, onWaiting));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new SinkError('WORKER_DIED', 'a load thread ended too early')));
  }

  say(message: ToLoadThread): void {
    this.#worker.postMessage(message);
  }

  terminate(): void {
    void this.#worker.terminate();
  }

  #onMessage(message: FromLoadThread, onWaiting: (target: string) => void): void {
    switch (message.kind) {
      case 'waiting':
        onWaiting(message.target);
        break;
      case 'connected':
        this.connected.resolve();
        break;
      case 'failed':
        this.#fail(new SinkError(message.code, message.message));
        break;
      case 'progress':
        this.counters = message.counters;
        if (message.recentLatency !== undefined) this.recentLatency.push(message.recentLatency);
        break;
      case 'done':
        this.counters = message.counters;
        this.done.resolve(message);
        break;
    }
  }

  #fail(error: unknown): void {
    this.connected.reject(error);
    this.done.reject(error);
  }
}

export class ThreadedLoad implements Load {
  readonly totalReadings: number | undefined;
  readonly #threads: LoadThread[] = [];

  constructor(plan: LoadPlan, threads: number, onWaiting: (target: string) => void) {
    this.totalReadings = plannedReadings(plan);
    let isTold = false;
    const tellOnce = (target: string): void => {
      if (!isTold) onWaiting(target);
      isTold = true;
    };
    for (let thread = 0; thread < threads; thread++) {
      this.#threads.push(new LoadThread({ plan, thread, threads }, tellOnce));
    }
  }

  async connect(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.connected.promise));
  }

  async run(): Promise<LoadResult> {
    const startMs = Date.now() + START_LEAD_MS;
    for (const thread of this.#threads) thread.say({ kind: 'run', startMs });
    const results = await Promise.all(this.#threads.map((thread) => thread.done.promise));
    const latency = new LatencyHistogram();
    const attemptLatency = new LatencyHistogram();
    for (const result of results) {
      latency.addEncoded(result.latency);
      attemptLatency.addEncoded(result.attemptLatency);
    }
    const endedEarly = results.find((result) => result.endedEarly !== undefined)?.endedEarly;
    return { counters: this.counters(), latency, attemptLatency, endedEarly };
  }

  stop(reason: string): void {
    for (const thread of this.#threads) thread.say({ kind: 'stop', reason });
  }

  close(): void {
    for (const thread of this.#threads) thread.terminate();
  }

  counters(): Counters {
    return sumCounters(this.#threads.map((thread) => thread.counters));
  }

  takeRecentLatency(into: LatencyHistogram): void {
    for (const thread of this.#threads) {
      for (const encoded of thread.recentLatency.splice(0)) into.addEncoded(encoded);
    }
  }
}
