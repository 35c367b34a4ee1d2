/** `verify`: checks a journal folder and names every fault, for people, for scripts and for exit statuses. */
import { formatByteSize } from '../base/byte-size.ts';
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
    json: { flag: 'json', type: 'boolean', default: 'false', help: 'Print one JSON object' },
  },
});

export const verifyCommand = command({
  name: 'verify',
  summary: 'Check a journal folder and name every fault',
  description:
    'Reads every segment once and compares it with the manifest (size, sha256, lines, bytes) and with its sidecar (crc32 and lines of each block), and checks that every line is a JSON object. Changes nothing, and may run beside the daemon or on a copy.',
  examples: [
    { line: 'telemetry-sink verify data', help: 'check everything' },
    { line: 'telemetry-sink verify data --json | jq .faults', help: 'in a script' },
  ],
  exitStatuses: { 0: 'no fault found', 1: 'at least one fault', 2: 'the folder is missing, or no journal' },
  groups: { verify: verifyOptions },
  async run(config, io) {
    const { verifyFolder } = await import('../journal/verify.ts');
    const { ProgressBar } = await import('./progress-bar.ts');
    const { folder, quick, json } = config.verify;
    const progress = new ProgressBar(io.stderr, 'verifying');
    const report = await verifyFolder(folder, {
      isQuick: quick,
      onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
    }).finally(() => progress.clear());
    io.stdout.write(json ? asJson(folder, report) : asText(report, io));
    return report.faults.length === 0 ? 0 : 1;
  },
});

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
