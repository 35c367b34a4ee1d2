/**
 * Many seeds over several threads. Which thread runs a seed changes nothing about the run.
 *
 * Threads stay for all that is asked of them: each that ends gives back what TypeScript is read with (WebAssembly), and Node
 * 24 dies of that now and then when there are many (github.com/nodejs/node/issues/64500).
 */
import { Worker } from 'node:worker_threads';
import type { RunResult } from './simulate.ts';

export interface SeedTask {
  readonly seeds: readonly number[];
  /** Index of the seed that is next. */
  readonly next: Int32Array<SharedArrayBuffer>;
  /** In DELIBERATE_BUGS; undefined for an ordinary run. */
  readonly bugIndex: number | undefined;
}

export interface SeedsOptions {
  /** Left out: all there are. */
  readonly threads?: number;
  readonly bugIndex?: number;
  /** No further seed is begun once one was violated. */
  readonly stopAtViolation?: boolean;
  readonly onResult?: (result: RunResult) => void;
}

export class SeedThreads {
  readonly #workers: readonly Worker[];

  constructor(count: number) {
    this.#workers = Array.from(
      { length: count },
      () =>
        new Worker(new URL('./seed-worker.ts', import.meta.url), {
          execArgv: ['--disable-warning=ExperimentalWarning'],
        }),
    );
  }

  async run(seeds: readonly number[], options: SeedsOptions = {}): Promise<RunResult[]> {
    const next = new Int32Array(new SharedArrayBuffer(4));
    const results: RunResult[] = [];
    const onResult = (result: RunResult): void => {
      results.push(result);
      options.onResult?.(result);
      if (result.violation !== undefined && options.stopAtViolation === true) {
        Atomics.store(next, 0, seeds.length);
      }
    };
    const task: SeedTask = { seeds, next, bugIndex: options.bugIndex };
    const workers = this.#workers.slice(0, options.threads);
    await Promise.all(workers.map((worker) => runTask(worker, task, onResult)));
    return results.sort((a, b) => a.seed - b.seed);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function runTask(worker: Worker, task: SeedTask, onResult: (result: RunResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onMessage = (result: RunResult | 'over'): void => {
      if (result !== 'over') {
        onResult(result);
        return;
      }
      worker.off('message', onMessage);
      worker.off('error', reject);
      resolve();
    };
    worker.on('message', onMessage);
    worker.on('error', reject);
    worker.postMessage(task);
  });
}

export function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
