/**
 * The daemon beside its peers, each held to one core: which runs there are, and how they take turns. Every
 * run has a process and a folder of its own, and proves at its end that it served what it answered.
 */
import type { Cores } from '../cores.ts';
import { type Generator, loadDaemon } from '../load.ts';
import { readMemory } from '../process-usage.ts';
import { type Run, runOf } from '../run.ts';
import { builtCollector, missingToolchain } from './build.ts';
import { grpcGoPeer } from './grpc-go.ts';
import { otelCollectorPeer } from './otel-collector.ts';
import { ownDaemon } from './own-daemon.ts';
import type { MissingPeer, Peer } from './server.ts';

export const FOREIGN_PEERS = ['grpc-go', 'otel-collector'] as const;
export const OWN_TRANSPORTS = ['native', 'grpc-js'] as const;
const READINGS = [1, 100];
/** Where acknowledgements are compared: few enough that waiting for the disk would show. */
const FEW_IN_FLIGHT = { connections: 8, streams: 8 };

export interface PeerCell {
  readonly name: string;
  readonly peer: Peer;
  readonly readings: number;
  /** Our own only. */
  readonly ack: string | undefined;
  readonly connections: number;
  readonly streams: number;
  /** One StreamSensorValues on each connection in place of unary calls. */
  readonly isStreaming?: boolean;
}

export interface Comparison {
  readonly cells: ReadonlyMap<PeerCell, readonly Run[]>;
  readonly missing: readonly MissingPeer[];
}

export interface ComparisonWish {
  /** Of FOREIGN_PEERS. */
  readonly peers: readonly string[];
  /** The Collector takes minutes to build: not where somebody wants an impression. */
  readonly mayBuildCollector: boolean;
  readonly connections: number;
  readonly streams: number;
  readonly generator: Generator;
  readonly cores: Cores;
  readonly scratch: string;
  readonly runs: number;
  readonly durationMs: number;
  readonly warmUpMs: number;
  isWanted(cellName: string): boolean;
  onRun(cell: PeerCell, run: Run, done: number, of: number): void;
}

export async function compare(wish: ComparisonWish): Promise<Comparison> {
  const missing: MissingPeer[] = [];
  const cells = cellsOf(wish, missing).filter(({ name }) => wish.isWanted(name));
  for (const { name, missing: why } of missing) console.error(`SKIPPED: the peer ${name}: ${why}`);
  const results = new Map<PeerCell, Run[]>(cells.map((cell) => [cell, []]));
  let done = 0;
  for (let round = 0; round < wish.runs; round++) {
    for (const cell of round % 2 === 0 ? cells : cells.toReversed()) {
      const run = await measure(cell, wish);
      results.get(cell)!.push(run);
      wish.onRun(cell, run, ++done, cells.length * wish.runs);
    }
  }
  return { cells: results, missing };
}

function cellsOf(wish: ComparisonWish, missing: MissingPeer[]): readonly PeerCell[] {
  const { connections, streams } = wish;
  const foreign = foreignPeers(wish, missing);
  return READINGS.flatMap((readings) => [
    ...OWN_TRANSPORTS.map((transport) => {
      const peer = ownDaemon(transport, 'accepted');
      return { name: `${transport}/${readings}`, peer, readings, ack: 'accepted', connections, streams };
    }),
    ...foreign.map((peer) => {
      return { name: `${peer.name}/${readings}`, peer, readings, ack: undefined, connections, streams };
    }),
    ...OWN_TRANSPORTS.map((transport) => {
      const peer = ownDaemon(transport, 'accepted');
      const name = `${transport}-stream/${readings}`;
      return { name, peer, readings, ack: 'accepted', connections, streams: 1, isStreaming: true };
    }),
    ...['accepted', 'written'].map((ack) => {
      const peer = ownDaemon('native', ack);
      return { name: `native-64/${ack}/${readings}`, peer, readings, ack, ...FEW_IN_FLIGHT };
    }),
  ]);
}

function foreignPeers(wish: ComparisonWish, missing: MissingPeer[]): readonly Peer[] {
  const peers: Peer[] = [];
  const add = (name: string, whyNot: string | undefined, make: () => Peer): void => {
    const isUsed =
      wish.peers.includes(name) && READINGS.some((readings) => wish.isWanted(`${name}/${readings}`));
    if (!isUsed) return;
    if (whyNot !== undefined) {
      missing.push({ name, missing: whyNot });
      return;
    }
    try {
      peers.push(make());
    } catch (error) {
      missing.push({ name, missing: `it cannot be built: ${(error as Error).message.split('\n')[0]}` });
    }
  };
  const noLoad = wish.generator === 'h2load' ? undefined : 'h2load is not installed';
  const noTools = noLoad ?? missingToolchain();
  const notBuilt =
    wish.mayBuildCollector || builtCollector() !== undefined
      ? undefined
      : 'not built yet, which takes minutes; `node bench/peers/build.ts otel-collector` does it once';
  add('grpc-go', noTools, grpcGoPeer);
  add('otel-collector', noTools ?? notBuilt, otelCollectorPeer);
  return peers;
}

async function measure(cell: PeerCell, wish: ComparisonWish): Promise<Run> {
  const { peer, readings, connections, streams, isStreaming = false } = cell;
  const { generator, cores, scratch, warmUpMs, durationMs } = wish;
  const request = peer.request?.(readings);
  const server = await peer.start(scratch, cores);
  try {
    const window = await loadDaemon(server, {
      ...{
        generator,
        readingsPerRequest: readings,
        connections,
        streams,
        isStreaming,
        warmUpMs,
        durationMs,
        cores,
        scratch,
      },
      ...(request === undefined ? {} : { request }),
    });
    const peakRssBytes = readMemory(server.pid)?.peakRssBytes;
    await server.stop(window.requests, readings);
    return runOf(window, readings, peakRssBytes);
  } finally {
    await server.remove();
  }
}
