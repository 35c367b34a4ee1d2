/**
 * Loads a daemon or one of its peers as hard as it takes (closed loop: each stream sends its next request when the last was
 * answered) and measures a window in the middle of that load:
 *
 *   start ──warm-up──▶ usage of both processes ──window──▶ usage of both processes ──▶ load ends
 *
 * What counts is what was answered inside the window, over the CPU time used inside the window. h2load
 * names the end of every request; with `send` in its place, and for streams, the daemon's own counter is read at both ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isOnPath } from '../test/support/requirements.ts';
import { type Cores, pinned } from './cores.ts';
import { type Percentiles, percentilesOf } from './figures.ts';
import { requestsBetween } from './h2load-log.ts';
import { hasProc, readUsage, type Usage, type UsageBetween, usageBetween } from './process-usage.ts';
import { grpcMessage, requestBody } from './request-body.ts';

export const GENERATORS = ['h2load', 'send'] as const;
export type Generator = (typeof GENERATORS)[number];

/** A server that is running: the daemon, or one of those it is compared with. */
export interface LoadTarget {
  readonly pid: number;
  readonly grpc: string;
  /** What its own books say; `send` and streams need them, h2load keeps its own. */
  metrics?(): Promise<ReadonlyMap<string, number>>;
}

/** What h2load sends to something that is no SensorService. */
export interface LoadRequest {
  readonly path: string;
  readonly body: Uint8Array;
}

export interface LoadShape {
  readonly generator: Generator;
  readonly readingsPerRequest: number;
  readonly connections: number;
  /** Requests underway on each connection. */
  readonly streams: number;
  /** One StreamSensorValues on each connection in place of unary calls; `generator` and `streams` do not matter then. */
  readonly isStreaming?: boolean;
  /** h2load only: instead of readings to SensorService. */
  readonly request?: LoadRequest;
  /** h2load only: start requests at this rate instead of one as soon as another was answered. */
  readonly requestsPerSecond?: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  readonly cores: Cores;
  /** Where to keep the request body and the generator's log. */
  readonly scratch: string;
}

export interface LoadWindow {
  readonly requests: number;
  readonly elapsedMs: number;
  /** From the moment the generator sends a request to its answer: closed loop, waiting behind its own kind included. */
  readonly latencyMs: Percentiles;
  /** Undefined where there is no /proc. */
  readonly daemon: UsageBetween | undefined;
  readonly generator: UsageBetween | undefined;
}

const ENTRY = new URL('../bin/telemetry-sink.js', import.meta.url).pathname;
const STREAM_CLIENTS = new URL('stream-clients.ts', import.meta.url).pathname;
export const SENSOR_PATH = '/sensor.v1.SensorService/SendSensorValues';
/** The load starts before and goes on after the window by this much. */
const MARGIN_MS = 500;

/** h2load where it is installed, since it costs a tenth of what a load generator in JavaScript does. */
export function chooseGenerator(wish: string): Generator {
  if (wish === 'h2load' || wish === 'send') return wish;
  return isOnPath('h2load') ? 'h2load' : 'send';
}

export async function loadDaemon(daemon: LoadTarget, shape: LoadShape): Promise<LoadWindow> {
  const scratch = await mkdtemp(join(shape.scratch, 'telemetry-sink-load-'));
  try {
    if (shape.isStreaming === true) return await viaStreams(daemon, shape, scratch);
    return await (shape.generator === 'h2load' ? viaH2load : viaSend)(daemon, shape, scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function viaH2load(daemon: LoadTarget, shape: LoadShape, scratch: string): Promise<LoadWindow> {
  const body = join(scratch, 'request');
  const log = join(scratch, 'log');
  const request = shape.request ?? { path: SENSOR_PATH, body: requestBody(shape.readingsPerRequest) };
  await writeFile(body, grpcMessage(request.body));
  const load = startLoad(shape.cores.load, [
    ...h2loadCommand(daemon.grpc, request.path, body, shape),
    ...(shape.requestsPerSecond === undefined
      ? []
      : [`--rps=${shape.requestsPerSecond / shape.connections}`]),
    ...['-D', `${shape.durationMs + 2 * MARGIN_MS}ms`, `--warm-up-time=${shape.warmUpMs}ms`],
    `--log-file=${log}`,
  ]);
  const { before, after } = await watchWindow(daemon, load, shape);
  await load.ended;
  const { latenciesUs, failed } = requestsBetween(await readFile(log), before.atMs, after.atMs);
  if (failed > 0) throw new Error(`${failed} requests were not answered with 200`);
  return windowOf(before, after, latenciesUs.length, percentilesOf(latenciesUs));
}

async function viaSend(daemon: LoadTarget, shape: LoadShape): Promise<LoadWindow> {
  const durationMs = shape.warmUpMs + shape.durationMs + 2 * MARGIN_MS;
  const load = startLoad(shape.cores.load, sendCommand(daemon.grpc, shape, durationMs));
  const { before, after } = await watchWindow(daemon, load, shape);
  const { attempt_latency_ms: latency } = JSON.parse(await load.ended) as SendSummary;
  return windowOf(before, after, after.ok - before.ok, latency);
}

const NOT_MEASURED: Percentiles = {
  ...{ p50: Number.NaN, p90: Number.NaN, p99: Number.NaN, p999: Number.NaN },
  max: Number.NaN,
};

async function viaStreams(daemon: LoadTarget, shape: LoadShape, scratch: string): Promise<LoadWindow> {
  const message = join(scratch, 'message');
  await writeFile(message, grpcMessage(requestBody(shape.readingsPerRequest)));
  const durationMs = shape.warmUpMs + shape.durationMs + 2 * MARGIN_MS;
  const load = startLoad(
    shape.cores.load,
    streamsCommand(daemon.grpc, shape.connections, durationMs, message),
  );
  const { before, after } = await watchWindow(daemon, load, shape);
  const { requests } = JSON.parse(await load.ended) as { readonly requests: number };
  const ok = await okOf(daemon);
  if (ok !== requests) throw new Error(`${requests} requests acknowledged, ${ok} in the books`);
  return windowOf(before, after, after.ok - before.ok, NOT_MEASURED);
}

type ClosedLoop = Pick<LoadShape, 'connections' | 'streams' | 'readingsPerRequest' | 'cores'>;

/** Unary calls; `-D` and what else is wanted may follow. `body` is the file with the message. */
export function h2loadCommand(
  target: string,
  path: string,
  body: string,
  shape: ClosedLoop,
): readonly string[] {
  return [
    ...['h2load', `http://${target}${path}`],
    ...['-c', String(shape.connections), '-m', String(shape.streams)],
    ...['-t', String(Math.min(shape.cores.loadThreads, shape.connections))],
    ...['-H', 'content-type: application/grpc', '-H', 'te: trailers', '-d', body],
  ];
}

export function sendCommand(target: string, shape: ClosedLoop, durationMs: number): readonly string[] {
  return [
    ...[process.execPath, ENTRY, 'send', '--json', '--quiet', '--target', target],
    ...['--readings-per-request', String(shape.readingsPerRequest)],
    ...['--threads', String(Math.min(shape.cores.loadThreads, shape.connections))],
    ...['--connections', String(shape.connections)],
    ...['--concurrency', String(shape.connections * shape.streams), '--duration', `${durationMs}ms`],
  ];
}

export function streamsCommand(
  target: string,
  connections: number,
  durationMs: number,
  message: string,
): readonly string[] {
  return [process.execPath, STREAM_CLIENTS, target, String(connections), String(durationMs), message];
}

export async function okOf(daemon: LoadTarget): Promise<number> {
  return (await daemon.metrics!()).get('telemetry_sink_requests_ok_total')!;
}

/** What `send --json` prints, as far as it is used here. */
export interface SendSummary {
  readonly delivered: boolean;
  readonly elapsed_s: number;
  readonly planned_requests_per_s: number | null;
  readonly readings: { readonly acknowledged: number; readonly not_sent: number; readonly per_s: number };
  readonly requests: { readonly acknowledged: number; readonly retries: number; readonly per_s: number };
  readonly latency_ms: Percentiles & { readonly count: number };
  readonly attempt_latency_ms: Percentiles & { readonly count: number };
  readonly max_behind_schedule_ms: number;
  readonly failed_attempts: Readonly<Record<string, number>>;
}

export interface RunningLoad {
  readonly child: ChildProcess;
  /** Its standard output; throws when it ended badly. */
  readonly ended: Promise<string>;
}

export function startLoad(cores: string | undefined, command: readonly string[]): RunningLoad {
  const [program, ...args] = pinned(cores, command);
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, 'close').then(([status]) => {
    if (status === 0) return stdout;
    throw new Error(`${command[0]} ended with ${status}: ${stderr || stdout}`);
  });
  ended.catch(() => {}); // it may end before anybody waits for it
  return { child, ended };
}

/** Until the load ends, so that a broken one is reported rather than measured. */
async function whileLoaded(load: RunningLoad, durationMs: number): Promise<void> {
  const hasEnded = await Promise.race([load.ended.then(() => true), sleep(durationMs).then(() => false)]);
  if (hasEnded) throw new Error('the load ended before its time');
}

interface Edge {
  readonly atMs: number;
  /** Requests acknowledged so far, by the daemon's books. */
  readonly ok: number;
  readonly daemon: Usage | undefined;
  readonly generator: Usage | undefined;
}

async function watchWindow(
  daemon: LoadTarget,
  load: RunningLoad,
  shape: LoadShape,
): Promise<{ readonly before: Edge; readonly after: Edge }> {
  const edge = async (): Promise<Edge> => {
    const isCountedByDaemon = shape.generator === 'send' || shape.isStreaming === true;
    const ok = isCountedByDaemon ? await okOf(daemon) : 0;
    return {
      atMs: Date.now(),
      ok,
      daemon: readUsage(daemon.pid, shape.cores.daemon),
      generator: readUsage(load.child.pid!),
    };
  };
  await whileLoaded(load, shape.warmUpMs + MARGIN_MS);
  const before = await edge();
  await whileLoaded(load, shape.durationMs);
  return { before, after: await edge() };
}

function windowOf(before: Edge, after: Edge, requests: number, latencyMs: Percentiles): LoadWindow {
  const between = (process: 'daemon' | 'generator'): UsageBetween | undefined =>
    hasProc ? usageBetween(before[process]!, after[process]!) : undefined;
  return {
    requests,
    elapsedMs: after.atMs - before.atMs,
    latencyMs,
    daemon: between('daemon'),
    generator: between('generator'),
  };
}
