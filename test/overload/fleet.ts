/**
 * Thousands of callers in a thread of their own. The same file is the thread's entry.
 *
 *   begin ──all begun──▶ calling ──end()──▶ report, thread over
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Caller, type CallerWish, type Manner, type Tally } from './caller.ts';

export interface FleetWish {
  readonly port: number;
  readonly groups: readonly {
    readonly manner: Manner;
    readonly count: number;
    readonly readingsPerRequest: number;
    readonly intervalMs: number;
  }[];
}

export interface CallerReport {
  readonly name: string;
  readonly manner: Manner;
  readonly fates: Uint8Array;
  readonly wanted: number;
  readonly delivered: number;
}

export interface FleetReport {
  readonly callers: readonly CallerReport[];
  readonly tallies: Readonly<Record<Manner, Tally>>;
}

/** Connections begun per turn: all at once would overflow the kernel's queue and measure its back-off. */
const BEGUN_AT_ONCE = 100;
const BEGIN_INTERVAL_MS = 20;

export class Fleet {
  readonly #worker: Worker;
  /** All are connecting, or connected. */
  readonly begun: Promise<unknown>;

  constructor(wish: FleetWish) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: wish });
    this.begun = once(this.#worker, 'message');
  }

  /** Hangs up and reports. */
  async end(): Promise<FleetReport> {
    await this.begun;
    // On a busy machine the report and the exit come in one go: whoever listens for the exit behind the report misses it.
    const exited = once(this.#worker, 'exit');
    this.#worker.postMessage('end');
    const [report] = (await once(this.#worker, 'message')) as [FleetReport];
    await exited;
    return report;
  }
}

const newTally = (): Tally => ({ acknowledged: 0, refused: new Map(), unhinted: 0, unknown: 0 });

async function call({ port, groups }: FleetWish): Promise<void> {
  const tallies = { eager: newTally(), good: newTally(), deaf: newTally(), trickling: newTally() };
  const callers: { caller: Caller; manner: Manner }[] = [];
  for (const { manner, count, readingsPerRequest, intervalMs } of groups) {
    for (let i = 0; i < count; i++) {
      // Good clients live at addresses of their own, all others share one.
      const localAddress = manner === 'good' ? `127.0.1.${1 + (i % 250)}` : '127.0.0.1';
      const wish: CallerWish = {
        name: `${manner}-${i}`,
        manner,
        port,
        localAddress,
        readingsPerRequest,
        intervalMs,
      };
      callers.push({ caller: new Caller(wish, tallies[manner]), manner });
    }
  }
  // The good ones first: whoever comes too late for MAX_CONNECTIONS is another test.
  callers.sort((a, b) => Number(b.manner === 'good') - Number(a.manner === 'good'));
  let begun = 0;
  const begin = setInterval(() => {
    for (const { caller } of callers.slice(begun, begun + BEGUN_AT_ONCE)) caller.begin();
    begun += BEGUN_AT_ONCE;
    if (begun < callers.length) return;
    clearInterval(begin);
    parentPort!.postMessage('begun');
  }, BEGIN_INTERVAL_MS);
  await once(parentPort!, 'message');
  for (const { caller } of callers) caller.end();
  // Once the sockets are closed every value has its fate.
  setImmediate(() => {
    const report: FleetReport = {
      callers: callers.map(({ caller, manner }) => {
        const { name, fates, wanted, delivered } = caller;
        return { name, manner, fates, wanted, delivered };
      }),
      tallies,
    };
    parentPort!.postMessage(report);
    parentPort!.close();
  });
}

if (!isMainThread) await call(workerData as FleetWish);
