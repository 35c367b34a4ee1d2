/** `copy-out`: a consistent copy of the segments, while the daemon writes, rotates, compresses and deletes. */
import { rmSync } from 'node:fs';
import { formatByteSize } from '../base/byte-size.ts';
import { SinkError } from '../base/errors.ts';
import { optionGroup } from '../base/option.ts';
import { journalOptions } from '../journal/config.ts';
import type { LinkedCopy } from '../journal/linked-copy.ts';
import type { CommandConfig, CommandIo } from './command.ts';
import { command } from './command.ts';
import { untilStopped } from './stop-signal.ts';

const copyOutOptions = optionGroup({
  title: 'Copy out',
  options: {
    folder: {
      ...journalOptions.options.filePath,
      positional: 'folder',
      help: 'Journal folder to copy from',
    },
    withOpen: {
      flag: 'with-open',
      type: 'boolean',
      default: 'false',
      help: 'Also copy the segment that is being written, up to its last sync (SYNC_INTERVAL of the daemon)',
    },
    to: { flag: 'to', type: 'path', default: '', help: 'Folder to copy into; made, or empty' },
    tar: {
      flag: 'tar',
      type: 'boolean',
      default: 'false',
      help: 'Write a tar stream to standard output instead',
    },
  },
  check: ({ to, tar }) =>
    tar === (to !== '') ? ['--to, --tar: give one of the two: where shall the copy go?'] : [],
});

const groups = { copyOut: copyOutOptions };

export const copyOutCommand = command({
  name: 'copy-out',
  summary: 'Copy segments out of a journal folder, beside the daemon too',
  description:
    'Copies every closed segment with its sidecar and a manifest that names exactly these; verify passes on the copy. The segment that is being written is left out, unless --with-open asks for what is in it.\n\nWhile it copies, hard links keep the files in place whatever the daemon does to them, so it needs to be able to write to the folder, and space that retention frees meanwhile is given back only at the end.',
  examples: [
    { line: 'telemetry-sink copy-out data --to /mnt/backup/today', help: 'into a folder' },
    { line: 'telemetry-sink copy-out data --with-open --to now', help: 'with the newest readings' },
    {
      line: 'kubectl exec telemetry-sink-0 -- telemetry-sink copy-out --tar | tar -x -C today',
      help: 'out of a pod',
    },
  ],
  exitStatuses: {
    0: 'all was copied',
    1: 'the copy is not complete',
    2: 'a folder is missing or not usable',
  },
  groups,
  run: (config, io) => untilStopped((stop) => copyOut(config, io, stop)),
});

export async function copyOut(
  config: CommandConfig<typeof groups>,
  io: CommandIo,
  signal: AbortSignal,
): Promise<number> {
  const { folder, to, tar, withOpen } = config.copyOut;
  if (tar && io.isTty) {
    throw new SinkError('USAGE', 'a tar stream is nothing for a terminal; send it to a file or a pipe');
  }
  const { linkSegments } = await import('../journal/linked-copy.ts');
  const { copyToFolder, copyToTar, prepareTarget } = await import('./copy-out/copy.ts');
  const { ProgressBar } = await import('./progress-bar.ts');

  if (!tar) await prepareTarget(to);
  const links = await linkSegments(folder, { withOpen });
  // A last resort for an end that asks nobody, such as the reader of our output going away.
  const onExit = (): void => rmSync(links.copyFolder, { recursive: true, force: true });
  process.once('exit', onExit);
  const progress = new ProgressBar(io.stderr, 'copying');
  const onProgress = (doneBytes: number, totalBytes: number): void => progress.update(doneBytes, totalBytes);
  try {
    const isWhole = tar
      ? await copyToTar(links, io.stdout, signal, onProgress)
      : await copyToFolder(links, to, signal, onProgress);
    progress.clear();
    io.stderr.write(isWhole ? summary(links, tar ? 'a tar stream' : to, withOpen) : INTERRUPTED);
    return isWhole ? 0 : 1;
  } finally {
    progress.clear();
    await links.release();
    process.off('exit', onExit);
  }
}

const INTERRUPTED = 'telemetry-sink: interrupted, the copy is not complete\n';

function summary(links: LinkedCopy, target: string, withOpen: boolean): string {
  const { segments, open, leftOut } = links;
  const fileBytes = segments.reduce((sum, record) => sum + record.fileBytes, open?.bytes ?? 0);
  const lines = segments.reduce((sum, record) => sum + record.lines, open?.lines ?? 0);
  const what = `${segments.length} closed segment${segments.length === 1 ? '' : 's'}${open === undefined ? '' : ' and the open one'}`;
  const text = `copied ${what}, ${lines.toLocaleString('en')} lines, ${formatByteSize(fileBytes)} to ${target}\n`;
  if (leftOut === undefined) return text;
  const why = withOpen
    ? 'nothing of which is synced yet; try again in a second'
    : 'which is still being written; --with-open copies what is in it';
  return `${text}left out: ${leftOut}, ${why}\n`;
}
