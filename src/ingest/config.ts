/** Options of ingest: how fast requests may come, what happens without queue room, what OK promises. */
import { GiB } from '../base/byte-size.ts';
import { type GroupValues, optionGroup } from '../base/option.ts';

export const ingestOptions = optionGroup({
  title: 'Ingest',
  options: {
    ingestThreads: {
      env: 'INGEST_THREADS',
      type: 'integer',
      unit: 'threads',
      default: 'auto',
      min: 0,
      // Far beyond what one writer thread can take from them.
      max: 64,
      zero: 'one less than there are cores, at least 1, at most 8',
      zeroWord: 'auto',
      help: 'Threads that receive: each listens on the same port and has its own connections',
    },
    ratePerSecondBytes: {
      env: 'RATE_PER_SECOND',
      type: 'bytes',
      default: '0',
      min: 0,
      max: 1024 * GiB,
      zero: 'off',
      help: 'Bytes of serialized requests admitted per second, over all clients',
    },
    rateBurstBytes: {
      env: 'RATE_BURST',
      type: 'bytes',
      default: '0',
      min: 0,
      max: 1024 * GiB,
      zero: 'the larger of RATE_PER_SECOND and MAX_REQUEST_BYTES',
      help: 'Bytes admitted at once after a quiet time; a larger request is refused for good',
    },
    clientRatePerSecondBytes: {
      env: 'CLIENT_RATE_PER_SECOND',
      type: 'bytes',
      default: '0',
      min: 0,
      max: 1024 * GiB,
      zero: 'off',
      help: 'The same for each client by itself (certificate subject, token name or address)',
    },
    clientRateBurstBytes: {
      env: 'CLIENT_RATE_BURST',
      type: 'bytes',
      default: '0',
      min: 0,
      max: 1024 * GiB,
      zero: 'the larger of CLIENT_RATE_PER_SECOND and MAX_REQUEST_BYTES',
      help: 'Bytes admitted at once from one client after it was quiet; a larger request is refused for good',
    },
    maxClients: {
      env: 'MAX_CLIENTS',
      type: 'integer',
      unit: 'clients',
      // As many as MAX_CONNECTIONS lets in at once; a row takes some 60 bytes, and there are twice as many.
      default: '4096',
      min: 1,
      max: 1_000_000,
      help: 'Clients told apart at once by rate and share; further ones have the rate and share of one together',
    },
    metricsClients: {
      env: 'METRICS_CLIENTS',
      type: 'integer',
      unit: 'clients',
      // Each is two time series; a hundred are looked at one by one, thousands are not.
      default: '100',
      min: 0,
      max: 10_000,
      zero: 'none',
      help: 'Clients that metrics tell apart; the others are counted together as `other`',
    },
    tokensFile: {
      env: 'TOKENS_FILE',
      type: 'path',
      default: '',
      help: 'File of bearer tokens, a line each: name token; with it only clients with a token or a verified certificate get in',
    },
    queueFull: {
      env: 'QUEUE_FULL',
      type: 'enum',
      values: ['wait', 'refuse'],
      default: 'wait',
      help: 'Without queue room a request waits (up to its deadline or QUEUE_WAIT_MAX) or is refused at once',
    },
    queueWaitMaxMs: {
      env: 'QUEUE_WAIT_MAX',
      type: 'duration',
      default: '5s',
      min: 1,
      max: 600_000,
      help: 'Longest wait of a request for queue room before it is refused',
    },
    ack: {
      env: 'ACK',
      type: 'enum',
      values: ['accepted', 'written', 'synced'],
      default: 'written',
      help: 'What OK means: accepted (queued), written (handed to the operating system), synced (on the disk)',
    },
  },
});

/** One core is left to the writer and the main thread; from 8 on the one writer is what limits (decision 0005). */
const AUTO_THREADS_MAX = 8;

/** INGEST_THREADS, with `auto` settled. */
export function ingestThreadCount(ingestThreads: number, cores: number): number {
  return ingestThreads > 0 ? ingestThreads : Math.min(AUTO_THREADS_MAX, Math.max(1, cores - 1));
}

export type IngestConfig = GroupValues<typeof ingestOptions>;
