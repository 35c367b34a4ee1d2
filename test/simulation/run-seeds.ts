/** Many seeds over several threads. Which thread runs a seed changes nothing about the run. */
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
  readonly threads: number;
  readonly bugIndex?: number;
  /** No further seed is begun once one was violated. */
  readonly stopAtViolation?: boolean;
  readonly onResult?: (result: RunResult) => void;
}

export async function runSeeds(seeds: readonly number[], options: SeedsOptions): Promise<RunResult[]> {
  const next = new Int32Array(new SharedArrayBuffer(4));
  const results: RunResult[] = [];
  const task: SeedTask = { seeds, next, bugIndex: options.bugIndex };
  const runOne = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./seed-worker.ts', import.meta.url), {
        workerData: task,
        execArgv: ['--disable-warning=ExperimentalWarning'],
      });
      worker.on('message', (result: RunResult) => {
        results.push(result);
        options.onResult?.(result);
        if (result.violation !== undefined && options.stopAtViolation === true) {
          Atomics.store(next, 0, seeds.length);
        }
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  await Promise.all(Array.from({ length: options.threads }, runOne));
  return results.sort((a, b) => a.seed - b.seed);
}

export function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
