/** Unary calls at a fixed rate, timed from when each was due (bench/paced-clients.ts). */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cores } from './cores.ts';
import { SENSOR_PATH, startLoad } from './load.ts';
import type { PacedReport, PacedWish } from './paced-clients.ts';
import { grpcMessage, requestBody } from './request-body.ts';

const PACED_CLIENTS = new URL('paced-clients.ts', import.meta.url).pathname;

export interface PacedLoad {
  readonly target: string;
  readonly requestsPerSecond: number;
  readonly readingsPerRequest: number;
  readonly connections: number;
  /** Where each connection comes from; left out, all from the one that the system chooses. */
  readonly addresses?: readonly string[];
  readonly warmUpMs: number;
  readonly durationMs: number;
  readonly cores: Cores;
  readonly scratch: string;
}

export async function runPaced(load: PacedLoad): Promise<PacedReport> {
  const { readingsPerRequest, cores, scratch, ...rest } = load;
  const folder = await mkdtemp(join(scratch, 'telemetry-sink-paced-'));
  try {
    const messageFile = join(folder, 'message');
    await writeFile(messageFile, grpcMessage(requestBody(readingsPerRequest)));
    const wish: PacedWish = { ...rest, path: SENSOR_PATH, messageFile, threads: cores.loadThreads };
    const running = startLoad(cores.load, [process.execPath, PACED_CLIENTS, JSON.stringify(wish)]);
    return JSON.parse(await running.ended) as PacedReport;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
