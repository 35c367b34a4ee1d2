/**
 * The journal's options: where the segments lie, when a new one begins, what becomes of closed ones.
 */
import { GiB, KiB, MiB } from '../base/byte-size.ts';
import type { GroupValues } from '../base/option.ts';
import { optionGroup } from '../base/option.ts';

const DAY_MS = 86_400_000;

export const journalOptions = optionGroup({
  title: 'Journal (files on disk)',
  options: {
    filePath: {
      env: 'FILE_PATH',
      type: 'path',
      default: 'data',
      help: 'Folder of the segment files; created at start, used by one daemon at a time',
    },
    rotateBytes: {
      env: 'ROTATE_BYTES',
      type: 'bytes',
      default: '256MiB',
      // Below, a file per batch would be the rule; above, one lost file would be too much to lose.
      min: 4 * KiB,
      max: 1024 * GiB,
      help: 'Begin a new segment before the open one exceeds this size',
    },
    rotateIntervalMs: {
      env: 'ROTATE_INTERVAL',
      type: 'duration',
      default: '0',
      min: 0,
      max: 31 * DAY_MS,
      zero: 'off',
      help: 'Begin a new segment at each multiple of this on the wall clock, UTC (1h: on the hour)',
    },
    syncIntervalMs: {
      env: 'SYNC_INTERVAL',
      type: 'duration',
      default: '1s',
      min: 10,
      max: 3_600_000,
      help: 'The most that a power cut can take where acknowledgements do not wait for the disk (ACK=accepted or written)',
    },
    directWrites: {
      env: 'DIRECT_WRITES',
      type: 'enum',
      values: ['auto', 'off'],
      // A written byte costs a tenth where the page cache is dear, and never more than before: it is used where it pays.
      default: 'auto',
      help: 'Write large groups around the page cache (O_DIRECT) where the disk takes them and it is cheaper',
    },
    compress: {
      env: 'COMPRESS',
      type: 'enum',
      values: ['none', 'gzip', 'zstd'],
      default: 'none',
      help: 'Compress closed segments',
    },
    retainFiles: {
      env: 'RETAIN_FILES',
      type: 'integer',
      unit: 'files',
      default: '0',
      min: 0,
      max: 100_000_000,
      zero: 'keep all',
      help: 'Remove the oldest closed segments beyond this many',
    },
    retainBytes: {
      env: 'RETAIN_BYTES',
      type: 'bytes',
      default: '0',
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      zero: 'keep all',
      help: 'Remove the oldest closed segments while together they exceed this size on disk',
    },
    retainAgeMs: {
      env: 'RETAIN_AGE',
      type: 'duration',
      default: '0',
      min: 0,
      max: 36_500 * DAY_MS,
      zero: 'keep all',
      help: 'Remove closed segments older than this',
    },
    reorderBytes: {
      env: 'REORDER_BYTES',
      type: 'bytes',
      // 64 producers whose largest requests overtook one another, or thousands with ordinary ones.
      default: '16MiB',
      min: 64 * KiB,
      max: GiB,
      help: 'Memory for numbered requests that came before their turn, over all producers; beyond it they are refused',
    },
    reorderWaitMs: {
      env: 'REORDER_WAIT',
      type: 'duration',
      // Requests overtake one another by milliseconds; a retry of the one that is missing takes seconds.
      default: '2s',
      min: 1,
      max: 60_000,
      help: 'How long a numbered request waits for the numbers before it; then it is refused with the number expected',
    },
    maxProducers: {
      env: 'MAX_PRODUCERS',
      type: 'integer',
      unit: 'producers',
      // Some 10 MiB, and a checkpoint of about 1 MB with each segment.
      default: '10000',
      min: 1,
      max: 1_000_000,
      help: 'Producers remembered; beyond it the one not heard of for longest is forgotten, and may start anywhere',
    },
    producerMaxAgeMs: {
      env: 'PRODUCER_MAX_AGE',
      type: 'duration',
      // A gateway that was away for longer has sent what it had, or lost it.
      default: '30d',
      min: 60_000,
      max: 3650 * DAY_MS,
      zero: 'for ever',
      help: 'How long a producer that says nothing is remembered',
    },
    lowSpaceBytes: {
      env: 'LOW_SPACE_BYTES',
      type: 'bytes',
      default: '1GiB',
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      zero: 'never warn',
      help: 'Warn when less than this is free on the disk of FILE_PATH',
    },
  },
  check: (values) => {
    const faults: string[] = [];
    if (values.rotateIntervalMs > 0 && values.rotateIntervalMs < 1000) {
      faults.push('ROTATE_INTERVAL: must be 0 (off) or at least 1s: file names carry whole seconds');
    }
    if (values.retainBytes > 0 && values.retainBytes < MiB) {
      faults.push('RETAIN_BYTES: must be 0 (keep all) or at least 1MiB');
    }
    return faults;
  },
});

export type JournalConfig = GroupValues<typeof journalOptions>;
