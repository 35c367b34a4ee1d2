/** Which closed segments have to go, oldest first. A pure choice; the archiver carries it out. */
import type { ManifestRecord } from './manifest.ts';

export interface RetentionLimits {
  /** 0 = no limit, for each of them. */
  readonly retainFiles: number;
  readonly retainBytes: number;
  readonly retainAgeMs: number;
}

/**
 * Always the oldest ones, without a gap: a segment stays as long as an older one does. Deleted
 * ones among the records are passed over.
 */
export function segmentsToDelete(
  records: Iterable<ManifestRecord>,
  limits: RetentionLimits,
  nowMs: number,
): ManifestRecord[] {
  if (limits.retainFiles === 0 && limits.retainBytes === 0 && limits.retainAgeMs === 0) return [];
  const closed = [...records].filter((record) => record.state === 'closed');
  closed.sort((a, b) => a.segment - b.segment);
  let fileCount = closed.length;
  let totalBytes = 0;
  for (const record of closed) totalBytes += record.fileBytes;
  const doomed: ManifestRecord[] = [];
  for (const record of closed) {
    const tooMany = limits.retainFiles > 0 && fileCount > limits.retainFiles;
    const tooBig = limits.retainBytes > 0 && totalBytes > limits.retainBytes;
    // Age is that of its newest reading, so nothing is removed before its time.
    const newestMs = Math.max(record.closedAtMs, record.lastReceivedAtMs ?? 0);
    const tooOld = limits.retainAgeMs > 0 && nowMs - newestMs > limits.retainAgeMs;
    if (!tooMany && !tooBig && !tooOld) break;
    doomed.push(record);
    fileCount--;
    totalBytes -= record.fileBytes;
  }
  return doomed;
}
