/** Batches that wait to be written, each with whom to tell. */
import { MiB } from '../base/byte-size.ts';
import type { AppendBatch } from './open-segment.ts';
import type { AppendDone, WriteFault } from './write-fault.ts';

/** What one writev takes on every system (IOV_MAX). */
const MAX_GROUP_BATCHES = 1024;
/**
 * A longer queue is written in several groups: room for new lines comes back with each, and the threads that make them need not
 * stand still until all of QUEUE_BYTES is on the disk. Half of its default: with 4, 8 and 16 MiB the last write of each group,
 * which nothing is summed up beside, cost a quarter, a seventh and a twentieth of the readings (docs/decisions/0139).
 */
const MAX_GROUP_BYTES = 32 * MiB;

export interface PendingBatch {
  readonly batch: AppendBatch;
  readonly onDone: AppendDone;
}

/** From `from` on as many as fit into a segment that holds `segmentBytes`, and MAX_GROUP_BYTES at most; at least one. */
export function nextGroup(
  queue: readonly PendingBatch[],
  from: number,
  segmentBytes: number,
  rotateBytes: number,
): PendingBatch[] {
  const mostBytes = Math.min(rotateBytes, segmentBytes + MAX_GROUP_BYTES);
  let bytes = segmentBytes + queue[from]!.batch.bytes.length;
  let to = from + 1;
  while (to < queue.length && to - from < MAX_GROUP_BATCHES) {
    bytes += queue[to]!.batch.bytes.length;
    if (bytes > mostBytes) break;
    to++;
  }
  return queue.slice(from, to);
}

export function refuseFrom(queue: readonly PendingBatch[], from: number, fault: WriteFault): void {
  for (let i = from; i < queue.length; i++) {
    queue[i]!.onDone({ ok: false, code: fault.code, message: fault.message });
  }
}
