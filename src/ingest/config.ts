/** Options of ingest: how fast requests may come, what happens without queue room, what OK promises. */
import { GiB } from '../base/byte-size.ts';
import { type GroupValues, optionGroup } from '../base/option.ts';

export const ingestOptions = optionGroup({
  title: 'Ingest',
  options: {
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

export type IngestConfig = GroupValues<typeof ingestOptions>;
