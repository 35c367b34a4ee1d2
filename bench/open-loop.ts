/**
 * Load at a fixed rate, by `send`: requests start when the schedule says, whatever the daemon does, and
 * latency counts from that planned start. A stall is charged to every request that was due in it.
 */
import type { Cores } from './cores.ts';
import { type RunningLoad, startLoad } from './load.ts';

const ENTRY = new URL('../bin/telemetry-sink.js', import.meta.url).pathname;
/** Up to here one thread of `send` is not late itself, on a core that it does not share. */
const REQUESTS_PER_THREAD = 5000;

/** Beyond this the sender would measure itself. */
export function mostRequestsPerSecond(cores: Cores, connections: number): number {
  return REQUESTS_PER_THREAD * Math.min(cores.loadThreads, connections);
}

export interface OpenLoop {
  readonly target: string;
  readonly requestsPerSecond: number;
  readonly readingsPerRequest: number;
  readonly connections: number;
  readonly durationMs: number;
  readonly cores: Cores;
}

export function startOpenLoop(wish: OpenLoop): RunningLoad & { readonly threads: number } {
  const needed = Math.ceil(wish.requestsPerSecond / REQUESTS_PER_THREAD);
  const threads = Math.max(1, Math.min(needed, wish.cores.loadThreads, wish.connections));
  const load = startLoad(wish.cores.load, [
    ...[process.execPath, ENTRY, 'send', '--json', '--quiet', '--target', wish.target],
    ...['--requests-per-second', String(wish.requestsPerSecond)],
    ...['--readings-per-request', String(wish.readingsPerRequest)],
    ...['--connections', String(wish.connections), '--threads', String(threads)],
    ...['--sensors', '1000', '--duration', `${wish.durationMs}ms`],
  ]);
  return { ...load, threads };
}
