/**
 * How fast a core is now, told by the CPU time that a fixed piece of work takes on it, whoever else has it meanwhile: what the daemon under
 * test does there does not show. The work is the encoder's, since that is what a shared machine slows down most. The same file
 * is the measuring process's entry; between two measurements that sleeps.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { systemClock } from '../src/base/clock.ts';
import { ordinaryWork } from '../src/commands/serve/ordinary-work.ts';
import { type Cores, pinned } from './cores.ts';

/** Some 60 ms of work: longer than most of what disturbs it. */
const RUNS = 1000;
const WARM_UP_RUNS = 3000;

export class CoreSpeed {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(cores: Cores): Promise<CoreSpeed> {
    const [command, ...args] = pinned(cores.daemon, [process.execPath, import.meta.filename]);
    const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await once(child, 'message');
    return new CoreSpeed(child);
  }

  /** Pieces of work per millisecond of CPU time. */
  async now(): Promise<number> {
    this.#child.send('measure');
    const [tookMs] = (await once(this.#child, 'message')) as [number];
    return RUNS / tookMs;
  }

  stop(): void {
    this.#child.disconnect();
  }
}

if (import.meta.filename === process.argv[1]) {
  const { run } = ordinaryWork();
  const work = (runs: number): number => {
    const beganMs = systemClock.threadCpuMs();
    for (let i = 0; i < runs; i++) run();
    return systemClock.threadCpuMs() - beganMs;
  };
  work(WARM_UP_RUNS);
  process.on('message', () => process.send!(work(RUNS)));
  process.send!(0);
}
