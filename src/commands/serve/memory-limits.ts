/**
 * What the bounded buffers of the daemon can hold at most, added up: the figure logged at start, to be
 * held against the container's memory limit (what the runtime itself needs beside it, `runtimeBytes`, is
 * measured, not bounded).
 */
import { ROUNDING } from '../../base/buffer-pool.ts';
import { MiB } from '../../base/byte-size.ts';
import { MAX_HELD_BACK, RECEIVE_POOL_BYTES } from '../../grpc/native/limits.ts';
import { READ_BUFFER_BYTES } from '../../grpc/native/shared-reads.ts';
import { CONNECTION_COST_BYTES } from '../../grpc/receive-budget.ts';
import { clientTableBytes } from '../../ingest/client-table.ts';
import { WAIT_POOL_BYTES } from '../../ingest/sensor-service.ts';
import type { JournalConfig } from '../../journal/config.ts';
import { PRODUCER_COST_BYTES } from '../../journal/producers/producer-table.ts';
import { SHARED_RUN_BYTES } from '../../journal/run-control.ts';
import { RUN_MEMORY_BYTES } from '../../journal/run-writer.ts';
import type { MemoryLimit } from '../../observe/daemon-state.ts';
import { pooledBytes } from '../../pipeline/buffered-processor.ts';
import type { IngestOptions } from './ingest-messages.ts';

/** The record of one client with its name, in the table of its thread: 530 bytes measured with a long one. */
const CLIENT_RECORD_BYTES = 1024;

/** Of one thread. */
const HELD_BACK_BYTES = MAX_HELD_BACK * READ_BUFFER_BYTES;

/** zstd's or gzip's windows and the read buffers of one compression at a time. */
const ARCHIVE_BYTES = 16 * MiB;

/**
 * Of Node, code and the heaps of its threads, overloaded: `npm run test:overload` holds the daemon to it. Idle, built, after a
 * start, it is 168 MiB with one ingest thread and 34 more with each further one, 23 less on one core. The rest is what
 * V8 and malloc leave lying about: with one thread from 260 to 300 MiB beyond the buffers were seen, most on a
 * machine that others kept busy, where the garbage collector comes late.
 */
export function runtimeBytes(ingestThreads: number): number {
  return (300 + 70 * ingestThreads) * MiB;
}

export function memoryLimits(
  { grpc, ingest, pipeline }: IngestOptions,
  journal: Pick<JournalConfig, 'reorderBytes' | 'maxProducers'>,
  ingestThreads: number,
): readonly MemoryLimit[] {
  const isNative = grpc.transport === 'native';
  return [
    // All threads share these budgets. Requests being received or answered; those in the wait line are still open calls, so they are in here too.
    { name: 'receive', bytes: Math.ceil((1 + ROUNDING) * grpc.receiveBufferBytes) },
    { name: 'connections', bytes: grpc.maxConnections * CONNECTION_COST_BYTES[grpc.transport] },
    // What connections have read that had their share of a turn.
    { name: 'held_back', bytes: isNative ? ingestThreads * HELD_BACK_BYTES : 0 },
    // Memory of requests that came in pieces or waited, kept for the next.
    { name: 'request_pool', bytes: ingestThreads * ((isNative ? RECEIVE_POOL_BYTES : 0) + WAIT_POOL_BYTES) },
    // Lines between the encoder and the disk.
    { name: 'queue', bytes: pipeline.queueBytes },
    // A batch grows by doubling: for a moment the old buffer and one twice its size exist together.
    { name: 'batch_growth', bytes: 2 * pipeline.queueBytes },
    // Buffers kept for the next batches.
    { name: 'batch_pool', bytes: ingestThreads * pooledBytes(pipeline, ingestThreads) },
    // What the writer gathers in to write around the page cache.
    { name: 'direct_writes', bytes: RUN_MEMORY_BYTES + SHARED_RUN_BYTES },
    { name: 'archive', bytes: ARCHIVE_BYTES },
    // Numbered requests before their turn, and who they are from.
    { name: 'reorder', bytes: journal.reorderBytes },
    { name: 'producers', bytes: journal.maxProducers * PRODUCER_COST_BYTES },
    // The table that all threads share, and what each remembers of the clients it has met.
    {
      name: 'clients',
      bytes: clientTableBytes(ingest.maxClients) + ingestThreads * ingest.maxClients * CLIENT_RECORD_BYTES,
    },
  ];
}
