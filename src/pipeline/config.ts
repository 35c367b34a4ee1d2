/** Options of the pipeline: when lines leave the processor, and how many may wait for the writer. */
import { GiB, KiB, MiB } from '../base/byte-size.ts';
import { type GroupValues, optionGroup } from '../base/option.ts';

export const pipelineOptions = optionGroup({
  title: 'Pipeline',
  options: {
    bufferSizeReadings: {
      env: 'BUFFER_SIZE',
      type: 'integer',
      unit: 'readings',
      default: '10000',
      min: 1,
      max: 1_000_000,
      help: 'Flush a batch to the writer once it holds this many readings',
    },
    bufferBytes: {
      env: 'BUFFER_BYTES',
      type: 'bytes',
      default: '1MiB',
      min: 4 * KiB,
      max: 64 * MiB,
      help: 'Flush a batch to the writer once its lines take this many bytes',
    },
    bufferFlushIntervalMs: {
      env: 'BUFFER_FLUSH_INTERVAL',
      type: 'duration',
      default: '1s',
      min: 1,
      max: 3_600_000,
      help: 'Flush a batch at the latest after this long; sooner while acknowledgements wait on it',
    },
    queueBytes: {
      env: 'QUEUE_BYTES',
      type: 'bytes',
      default: '64MiB',
      min: MiB,
      max: 16 * GiB,
      help: 'Lines that may wait for the disk, in bytes; beyond it QUEUE_FULL decides',
    },
    queueItems: {
      env: 'QUEUE_ITEMS',
      type: 'integer',
      unit: 'batches',
      default: '1024',
      min: 1,
      max: 100_000,
      help: 'Batches that may wait for the disk; beyond it lines gather in one batch until QUEUE_BYTES',
    },
  },
});

export type PipelineConfig = GroupValues<typeof pipelineOptions>;
