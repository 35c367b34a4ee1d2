/**
 * What the bounded buffers of the daemon can hold at most, added up: the figure logged at start, to be
 * held against the container's memory limit (the runtime itself needs some 80 MiB beside it).
 */
import { MiB } from '../../base/byte-size.ts';
import type { MemoryLimit } from '../../observe/daemon-state.ts';
import type { IngestOptions } from './ingest.ts';

/** zstd's or gzip's windows and the read buffers of one compression at a time. */
const ARCHIVE_BYTES = 16 * MiB;

export function memoryLimits({ grpc, pipeline }: IngestOptions): readonly MemoryLimit[] {
  return [
    // Requests in the wait line are still open calls, so they are in here too.
    { name: 'requests being received or answered (RECEIVE_BUFFER_BYTES)', bytes: grpc.receiveBufferBytes },
    { name: 'lines waiting for the disk (QUEUE_BYTES)', bytes: pipeline.queueBytes },
    // A batch grows by doubling: for a moment the old buffer and one twice its size exist together.
    { name: 'growth of one batch', bytes: 2 * pipeline.queueBytes },
    { name: 'archive', bytes: ARCHIVE_BYTES },
  ];
}
