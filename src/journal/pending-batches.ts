/** Batches that wait to be written, each with whom to tell. */
import type { AppendBatch } from './open-segment.ts';
import type { AppendDone, WriteFault } from './write-fault.ts';

/** What one writev takes on every system (IOV_MAX). */
const MAX_GROUP_BATCHES = 1024;

export interface PendingBatch {
  readonly batch: AppendBatch;
  readonly onDone: AppendDone;
}

/** From `from` on as many as fit into a segment that holds `segmentBytes`, at least one. */
export function nextGroup(
  queue: readonly PendingBatch[],
  from: number,
  segmentBytes: number,
  rotateBytes: number,
): PendingBatch[] {
  let bytes = segmentBytes + queue[from]!.batch.bytes.length;
  let to = from + 1;
  while (to < queue.length && to - from < MAX_GROUP_BATCHES) {
    bytes += queue[to]!.batch.bytes.length;
    if (bytes > rotateBytes) break;
    to++;
  }
  return queue.slice(from, to);
}

export function refuseFrom(queue: readonly PendingBatch[], from: number, fault: WriteFault): void {
  for (let i = from; i < queue.length; i++) {
    queue[i]!.onDone({ ok: false, code: fault.code, message: fault.message });
  }
}
