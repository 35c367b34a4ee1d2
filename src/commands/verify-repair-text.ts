/** What `verify --repair` prints, for people and for scripts. */
import { formatByteSize } from '../base/byte-size.ts';
import { paint } from '../config/help.ts';
import type { RepairAction, RepairCut, RepairReport, SegmentRepair } from '../journal/repair-report.ts';
import type { Fault } from '../journal/verify.ts';
import type { CommandIo } from './command.ts';

const DONE: Readonly<Record<RepairAction, string>> = {
  rewritten: 'written anew without what was damaged',
  recorded: 'its record is made again from the file',
  sidecar: 'its sidecar is made again from the file',
  lost: 'nothing of it is left, which the manifest says now',
  removed: 'superfluous files are put away',
};

export function repairJson(folder: string, report: RepairReport): string {
  const result = {
    ok: report.faultsAfter.length === 0 && report.failures.length === 0,
    folder,
    dry_run: report.isDryRun,
    lost_lines: report.lostLines,
    lost_bytes: report.lostBytes,
    manifest_lines_dropped: report.manifestLinesDropped,
    manifest_saved_as: report.manifestSavedAs,
    segments: report.segments.map((segment) => ({
      segment: segment.segment,
      file: segment.file,
      actions: segment.actions,
      kept_lines: segment.keptLines,
      lost_lines: segment.lostLines,
      lost_bytes: segment.lostBytes,
      suspect: segment.isSuspect,
      moved_to: segment.movedTo,
      lost_from: isoTime(segment.lostFromMs),
      lost_to: isoTime(segment.lostToMs),
      cuts: segment.cuts.map(({ afterMs, beforeMs, savedAs, ...cut }) => ({
        ...cut,
        saved_as: savedAs,
        received_after: isoTime(afterMs),
        received_before: isoTime(beforeMs),
      })),
    })),
    failures: report.failures,
    faults_before: report.faultsBefore.length,
    faults: report.faultsAfter.map(({ fileOffset, ...fault }) => ({ ...fault, file_offset: fileOffset })),
  };
  return `${JSON.stringify(result, null, 2)}\n`;
}

export function repairText(report: RepairReport, io: CommandIo, faultText: (fault: Fault) => string): string {
  const layout = { columns: 110, isColour: io.isColour };
  let text = '';
  for (const fault of report.faultsBefore) text += `${paint(layout, 'red', 'fault')}  ${faultText(fault)}\n`;
  if (report.manifestLinesDropped > 0) {
    const saved = report.manifestSavedAs === null ? '' : `; as it was: ${report.manifestSavedAs}`;
    text += `repair  manifest: ${report.manifestLinesDropped} unreadable lines taken out${saved}\n`;
  }
  for (const segment of report.segments) text += segmentText(segment);
  for (const failure of report.failures) text += `${paint(layout, 'red', 'failed')} ${failure}\n`;
  const isClean = report.faultsAfter.length === 0 && report.failures.length === 0;
  const { lostLines, lostBytes } = report;
  const loss = `${lostLines.toLocaleString('en')} lines (${formatByteSize(lostBytes)}) lost`;
  if (report.faultsBefore.length === 0) return `${text}clean: nothing to repair\n`;
  if (report.isDryRun) return `${text}dry run: nothing was changed; a repair would end with ${loss}\n`;
  if (!isClean) {
    for (const fault of report.faultsAfter) text += `${paint(layout, 'red', 'left')}   ${faultText(fault)}\n`;
    return `${text}${paint(layout, 'red', 'not clean')}: faults are left; ${loss}\n`;
  }
  return `${text}${paint(layout, 'green', 'repaired')}: clean now; ${loss}\n`;
}

function segmentText(segment: SegmentRepair): string {
  const { file, actions, keptLines, lostLines, lostBytes, lostFromMs, lostToMs, cuts, movedTo } = segment;
  let text = `repair  ${file}: ${actions.map((action) => DONE[action]).join('; ') || 'nothing to do'}`;
  text += `: ${keptLines.toLocaleString('en')} lines kept`;
  if (lostLines > 0 || lostBytes > 0) text += `, ${lostLines.toLocaleString('en')} lost`;
  if (lostFromMs !== null) text += `, received from ${isoTime(lostFromMs)} to ${isoTime(lostToMs)}`;
  if (segment.isSuspect) text += '; suspect';
  text += '\n';
  for (const cut of cuts) text += `  cut   ${cutText(cut)}\n`;
  for (const moved of movedTo) text += `  moved ${moved}\n`;
  return text;
}

function cutText({ offset, bytes, lines, why, savedAs, afterMs, beforeMs }: RepairCut): string {
  const span = [
    ...(afterMs === null ? [] : [`after ${isoTime(afterMs)}`]),
    ...(beforeMs === null ? [] : [`before ${isoTime(beforeMs)}`]),
  ].join(' and ');
  const received = span === '' ? '' : `, received ${span}`;
  const saved = savedAs === null ? '' : `; kept in ${savedAs}`;
  return `${bytes} bytes, ${lines} lines at byte ${offset}: ${why}${received}${saved}`;
}

function isoTime(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
