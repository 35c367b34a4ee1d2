/** `verify`: checks a journal folder and names every fault, for people, for scripts and for exit statuses. */
import { formatByteSize } from '../base/byte-size.ts';
import { SinkError } from '../base/errors.ts';
import { optionGroup } from '../base/option.ts';
import { paint } from '../config/help.ts';
import { journalOptions } from '../journal/config.ts';
import type { Fault, VerifyReport } from '../journal/verify.ts';
import type { CommandIo } from './command.ts';
import { command } from './command.ts';

const verifyOptions = optionGroup({
  title: 'Verify',
  options: {
    folder: {
      ...journalOptions.options.filePath,
      positional: 'folder',
      help: 'Journal folder to check, in use or copied',
    },
    quick: {
      flag: 'quick',
      short: 'q',
      type: 'boolean',
      default: 'false',
      help: 'Do not parse the lines of blocks whose checksum is right',
    },
    repair: {
      flag: 'repair',
      type: 'boolean',
      default: 'false',
      help: 'Take damage out of the journal and keep it in .journal/quarantine; no daemon may be running',
    },
    dryRun: {
      flag: 'dry-run',
      type: 'boolean',
      default: 'false',
      help: 'With --repair: say what it would do, and change nothing',
    },
    json: { flag: 'json', type: 'boolean', default: 'false', help: 'Print one JSON object' },
  },
});

export const verifyCommand = command({
  name: 'verify',
  summary: 'Check a journal folder and name every fault',
  description:
    'Reads every segment once and compares it with the manifest (size, sha256, lines, bytes) and with its sidecar (crc32 and lines of each block), and checks that every line is a JSON object. Changes nothing, and may run beside the daemon or on a copy. With --repair it takes out what is damaged, keeps that in .journal/quarantine, and mends manifest and sidecars; it refuses while a daemon holds the folder, and may be run again after it was interrupted.',
  examples: [
    { line: 'telemetry-sink verify data', help: 'check everything' },
    { line: 'telemetry-sink verify data --json | jq .faults', help: 'in a script' },
    { line: 'telemetry-sink verify data --repair --dry-run', help: 'what a repair would do and cost' },
  ],
  exitStatuses: {
    0: 'no fault found, or with --repair none left',
    1: 'at least one fault, or with --repair one that is left',
    2: 'the folder is missing, no journal, or with --repair in use or not writable',
  },
  groups: { verify: verifyOptions },
  async run(config, io) {
    const { verifyFolder } = await import('../journal/verify.ts');
    const { ProgressBar } = await import('./progress-bar.ts');
    const { folder, quick, json, repair, dryRun } = config.verify;
    if (dryRun && !repair) throw new SinkError('USAGE', '--dry-run says what --repair would do: give both');
    if (repair) return runRepair(folder, { isDryRun: dryRun, isJson: json }, io);
    const progress = new ProgressBar(io.stderr, 'verifying');
    const report = await verifyFolder(folder, {
      isQuick: quick,
      onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
    }).finally(() => progress.clear());
    io.stdout.write(json ? asJson(folder, report) : asText(report, io));
    return report.faults.length === 0 ? 0 : 1;
  },
});

async function runRepair(
  folder: string,
  { isDryRun, isJson }: { readonly isDryRun: boolean; readonly isJson: boolean },
  io: CommandIo,
): Promise<number> {
  const { repairFolder } = await import('../journal/repair.ts');
  const { realFileSystem } = await import('../journal/file-system.ts');
  const { systemClock } = await import('../base/clock.ts');
  const { repairJson, repairText } = await import('./verify-repair-text.ts');
  const { ProgressBar } = await import('./progress-bar.ts');
  const progress = new ProgressBar(io.stderr, 'verifying');
  const report = await repairFolder(folder, {
    isDryRun,
    fileSystem: realFileSystem,
    clock: systemClock,
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
  }).finally(() => progress.clear());
  io.stdout.write(isJson ? repairJson(folder, report) : repairText(report, io, faultText));
  return report.faultsAfter.length === 0 && report.failures.length === 0 ? 0 : 1;
}

function asJson(folder: string, report: VerifyReport): string {
  const result = {
    ok: report.faults.length === 0,
    folder,
    segments: report.segments,
    lines: report.lines,
    bytes: report.bytes,
    file_bytes: report.fileBytes,
    deleted_segments: report.deletedSegments,
    open_file: report.openFile,
    faults: report.faults.map(({ fileOffset, ...fault }) => ({ ...fault, file_offset: fileOffset })),
    notices: report.notices,
  };
  return `${JSON.stringify(result, null, 2)}\n`;
}

function asText(report: VerifyReport, io: CommandIo): string {
  const layout = { columns: 110, isColour: io.isColour };
  let text = '';
  for (const fault of report.faults) text += `${paint(layout, 'red', 'fault')}  ${faultText(fault)}\n`;
  for (const notice of report.notices) text += `${paint(layout, 'yellow', 'notice')} ${notice}\n`;
  const { segments, lines, bytes, fileBytes, deletedSegments, openFile, faults } = report;
  const isClean = faults.length === 0;
  const verdict = isClean ? 'clean' : `${count(faults.length, 'fault')} found`;
  text += `${paint(layout, isClean ? 'green' : 'red', verdict)}: ${count(segments, 'segment')}`;
  text += `, ${count(lines, 'line')}, ${formatByteSize(bytes)}`;
  if (fileBytes !== bytes) text += ` (${formatByteSize(fileBytes)} on disk)`;
  if (deletedSegments > 0) text += `, ${deletedSegments} deleted before`;
  if (openFile !== null) text += `; ${openFile} is open or was when the daemon stopped`;
  return `${text}\n`;
}

function faultText({ file, kind, offset, fileOffset, message }: Fault): string {
  const place = offset === null ? '' : ` at byte ${offset}${fileOffset === null ? ' uncompressed' : ''}`;
  return `${file === '' ? '' : `${file}: `}${kind}${place}: ${message}`;
}

function count(number: number, what: string): string {
  return `${number.toLocaleString('en')} ${what}${number === 1 ? '' : 's'}`;
}
