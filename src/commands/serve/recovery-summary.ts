/** A recovery in the words of the log. */
import type { RecoveredSegment, RecoveryReport } from '../../journal/recovery.ts';
import type { RecoverySummary } from './journal-events.ts';

export function summariseRecovery(report: RecoveryReport): RecoverySummary {
  let lines = 0;
  let tornBytes = 0;
  const torn: string[] = [...report.faults];
  for (const segment of report.segments) {
    lines += segment.closed.lines;
    tornBytes += segment.cutBytes;
    torn.push(...remarks(segment));
  }
  return { segments: report.segments.length, lines, tornBytes, torn };
}

function remarks(segment: RecoveredSegment): string[] {
  const { closed, cutBytes, cutSavedAs, leftBytes, damagedBlocks } = segment;
  const texts: string[] = [];
  if (cutBytes > 0) {
    const kept = cutSavedAs === null ? 'could not be saved' : `kept aside as ${cutSavedAs}`;
    texts.push(`${closed.file}: cut a torn tail of ${cutBytes} bytes at ${closed.bytes} (${kept})`);
  }
  if (leftBytes > 0) {
    texts.push(`${closed.file}: ${leftBytes} bytes from ${closed.bytes} on are not lines and are ignored`);
  }
  if (damagedBlocks > 0) {
    texts.push(`${closed.file}: ${damagedBlocks} blocks have a wrong checksum; verify names them`);
  }
  return texts;
}
