/**
 * Attackers in a thread of their own, so that they do not keep the honest client from its work. The same file is the
 * thread's entry.
 *
 *   attack() ──▶ raiding ──end()──▶ idle ──attack()──▶ ...
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { Raid } from './attack.ts';
import { CORPUS } from './corpus.ts';

export interface RaidCounts {
  readonly connections: number;
  readonly bytes: number;
}

interface Orders {
  readonly attack: string;
  /** `127.0.0.1:port` */
  readonly target: string;
  readonly connections: number;
  readonly from: string | undefined;
}

/** How often the thread says what it has done. */
const REPORT_MS = 10;

export class Raiders {
  readonly #worker = new Worker(new URL(import.meta.url));

  /** Resolves when each of `connections` attackers has connected; from then on each is back as soon as it is thrown out. */
  async attack(attack: string, target: string, connections: number, from?: string): Promise<void> {
    this.#worker.postMessage({ attack, target, connections, from } satisfies Orders);
    while ((await this.#report()).connections < connections);
  }

  /** Resolves when every socket is closed. */
  async end(): Promise<RaidCounts> {
    this.#worker.postMessage('end');
    for (;;) {
      const report = await this.#report();
      if (report.isOver) return report;
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #report(): Promise<Report> {
    const [report] = (await once(this.#worker, 'message')) as [Report];
    return report;
  }
}

interface Report extends RaidCounts {
  readonly isOver: boolean;
}

async function raid({ attack, target, connections, from }: Orders): Promise<void> {
  const port = parentPort!;
  const found = CORPUS.find(({ name }) => name === attack);
  if (found === undefined) throw new Error(`no attack is called ${attack}`);
  const raid = new Raid(found, Number(target.split(':').at(-1)), from);
  for (let i = 0; i < connections; i++) raid.join();
  const report = (isOver: boolean) =>
    port.postMessage({ connections: raid.connections, bytes: raid.bytes, isOver } satisfies Report);
  const reports = setInterval(report, REPORT_MS, false);
  await once(port, 'message');
  await raid.end();
  clearInterval(reports);
  report(true);
}

if (!isMainThread) for (;;) await raid(((await once(parentPort!, 'message')) as [Orders])[0]);
