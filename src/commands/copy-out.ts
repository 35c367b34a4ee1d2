/** `copy-out`: a consistent copy of all closed segments, while the daemon writes, rotates, compresses and deletes. */
import { rmSync } from 'node:fs';
import { formatByteSize } from '../base/byte-size.ts';
import { SinkError } from '../base/errors.ts';
import { optionGroup } from '../base/option.ts';
import { journalOptions } from '../journal/config.ts';
import type { LinkedCopy } from '../journal/linked-copy.ts';
import type { CommandConfig, CommandIo } from './command.ts';
import { command } from './command.ts';

const copyOutOptions = optionGroup({
  title: 'Copy out',
  options: {
    folder: {
      ...journalOptions.options.filePath,
      positional: 'folder',
      help: 'Journal folder to copy from',
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
  summary: 'Copy closed segments out of a journal folder',
  description:
    'Copies every closed segment with its sidecar and a manifest that names exactly these; verify passes on the copy. The segment that is being written is left out: it is copied once it is closed.\n\nWhile it copies, hard links keep the files in place whatever the daemon does to them, so it needs to be able to write to the folder, and space that retention frees meanwhile is given back only at the end.',
  examples: [
    { line: 'telemetry-sink copy-out data --to /mnt/backup/today', help: 'into a folder' },
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
  async run(config, io) {
    const stop = new AbortController();
    const onSignal = (): void => stop.abort();
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
    try {
      return await copyOut(config, io, stop.signal);
    } finally {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    }
  },
});

export async function copyOut(
  config: CommandConfig<typeof groups>,
  io: CommandIo,
  signal: AbortSignal,
): Promise<number> {
  const { folder, to, tar } = config.copyOut;
  if (tar && io.isTty) {
    throw new SinkError('USAGE', 'a tar stream is nothing for a terminal; send it to a file or a pipe');
  }
  const { linkClosedSegments } = await import('../journal/linked-copy.ts');
  const { copyToFolder, copyToTar, prepareTarget } = await import('./copy-out/copy.ts');
  const { ProgressBar } = await import('./progress-bar.ts');

  if (!tar) await prepareTarget(to);
  const links = await linkClosedSegments(folder);
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
    io.stderr.write(summary(links, tar ? 'a tar stream' : to, isWhole));
    return isWhole ? 0 : 1;
  } finally {
    progress.clear();
    await links.release();
    process.off('exit', onExit);
  }
}

function summary(links: LinkedCopy, target: string, isWhole: boolean): string {
  if (!isWhole) return 'telemetry-sink: interrupted, the copy is not complete\n';
  const fileBytes = links.segments.reduce((sum, record) => sum + record.fileBytes, 0);
  const lines = links.segments.reduce((sum, record) => sum + record.lines, 0);
  const { length } = links.segments;
  const what = `${length} closed segment${length === 1 ? '' : 's'}, ${lines.toLocaleString('en')} lines`;
  return `copied ${what}, ${formatByteSize(fileBytes)} to ${target}\n`;
}
