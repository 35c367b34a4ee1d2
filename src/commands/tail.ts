/** `tail`: the newest readings of a journal, and on request all that follow, whatever happens to the files. */
import { optionGroup } from '../base/option.ts';
import { journalOptions } from '../journal/config.ts';
import type { CommandConfig, CommandIo } from './command.ts';
import { command } from './command.ts';
import { untilStopped } from './stop-signal.ts';

const tailOptions = optionGroup({
  title: 'Tail',
  options: {
    folder: {
      ...journalOptions.options.filePath,
      positional: 'folder',
      help: 'Journal folder to read, in use or copied',
    },
    lines: {
      flag: 'lines',
      short: 'n',
      type: 'integer',
      unit: 'lines',
      default: '10',
      min: 0,
      max: 10_000_000,
      zero: 'none',
      help: 'How many of the newest readings to begin with',
    },
    follow: {
      flag: 'follow',
      short: 'f',
      type: 'boolean',
      default: 'false',
      help: 'Go on with every new reading, across rotation and compression, until interrupted',
    },
    sensor: {
      flag: 'sensor',
      short: 's',
      type: 'list',
      default: '',
      help: 'Only readings of this sensor; may be given more than once',
    },
    json: {
      flag: 'json',
      type: 'boolean',
      default: 'false',
      help: 'Print lines as they are in the file, on a terminal too',
    },
  },
});

const groups = { tail: tailOptions };

export const tailCommand = command({
  name: 'tail',
  summary: 'Follow the newest readings in a journal folder',
  description:
    'Prints the newest readings, oldest first: JSON lines as they are in the file when the output goes to a file or a pipe, and columns for reading on a terminal. Compressed segments are read too.',
  examples: [
    { line: 'telemetry-sink tail data', help: 'the newest ten' },
    { line: 'telemetry-sink tail data -f --sensor boiler-1 --sensor boiler-2', help: 'two sensors, live' },
    { line: 'telemetry-sink tail data -n 1000 | jq .sensor_value', help: 'JSON lines for a program' },
  ],
  groups,
  run: (config, io) => untilStopped((stop) => tail(config, io, stop)),
});

/** Exit status 0 when the signal or the end of the output's reader ends it. */
export async function tail(
  config: CommandConfig<typeof groups>,
  io: CommandIo,
  signal: AbortSignal,
): Promise<number> {
  const { newestLines } = await import('../journal/reader.ts');
  const { requireJournal, viewFolder } = await import('../journal/folder-view.ts');
  const { followLines } = await import('../journal/follow.ts');
  const { linesOf } = await import('../journal/segment-stream.ts');
  const { sensorFilter } = await import('../journal/line-filter.ts');
  const { Output } = await import('./output.ts');
  const { readingText } = await import('./tail/reading-text.ts');
  const { folder, lines: count, follow, sensor, json } = config.tail;

  const output = new Output(io.stdout);
  const filter = sensor.length === 0 ? undefined : sensorFilter(sensor);
  const isRaw = json || !io.isTty;
  const present = (lines: readonly Buffer[]): Uint8Array | string =>
    isRaw
      ? Buffer.concat(lines)
      : lines.map((line) => `${readingText(line.toString(), io.isColour)}\n`).join('');

  const newest = await newestLines(folder, count, filter);
  // To follow a folder that is still empty is fine: its daemon may be about to start.
  if (newest.end.segment === 0 && !follow) requireJournal(await viewFolder(folder));
  if (!(await output.write(present(newest.lines))) || !follow) return 0;

  const onSkipped = (from: number, to: number): void => {
    const which = from === to ? `segment ${from} was` : `segments ${from} to ${to} were`;
    io.stderr.write(`telemetry-sink: ${which} deleted by retention before being read\n`);
  };
  for await (const { lines } of followLines(folder, newest.end, { signal, onSkipped })) {
    const isWhole = isRaw && filter === undefined;
    const wanted = isWhole ? [] : [...linesOf(lines)].filter((line) => filter === undefined || filter(line));
    if (!(await output.write(isWhole ? lines : present(wanted)))) break;
  }
  return 0;
}
