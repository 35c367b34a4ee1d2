/** `--help`, for the program and for one command: the frame around what the declarations say. */
import { type HelpLayout, optionsHelp, paint, twoColumns, usageArguments, wrap } from '../config/help.ts';
import type { CatalogueEntry } from './catalogue.ts';
import type { AnyCommand, CommandExample } from './command.ts';

const QUICK_START: readonly CommandExample[] = [
  { line: 'telemetry-sink serve', help: 'listen on localhost:8000, write to ./data' },
  { line: 'telemetry-sink send --help', help: 'how to send it something' },
  { line: 'telemetry-sink tail', help: 'watch what arrives' },
];

export function programHelp(entries: readonly CatalogueEntry[], layout: HelpLayout): string {
  const commands = [
    ...entries,
    { name: 'help [command]', summary: 'Print this, or the help of a command' },
    { name: 'version', summary: 'Print the version' },
  ];
  return sections([
    'telemetry-sink: sensor readings over gRPC, appended to files, none lost.',
    `${paint(layout, 'bold', 'Usage:')} telemetry-sink <command> [options]`,
    [
      paint(layout, 'bold', 'Commands:'),
      ...commands.map(({ name, summary }) =>
        twoColumns(layout, name, 'cyan', wrap(summary, layout.columns - 32)),
      ),
    ].join('\n'),
    examplesText(QUICK_START, layout),
    wrap(
      "Options of a command: 'telemetry-sink <command> --help'. Most can also be given as environment variables or in a .env file.",
      layout.columns,
    ).join('\n'),
  ]);
}

export function commandHelp(command: AnyCommand, layout: HelpLayout): string {
  const general = [
    paint(layout, 'bold', 'General:'),
    twoColumns(layout, '--dotenv <path>', 'cyan', [
      'File of NAME=value lines to read',
      paint(layout, 'dim', '[default .env, when there is one]'),
    ]),
    twoColumns(layout, '-h, --help', 'cyan', ['Print this']),
  ].join('\n');
  const statuses = { 0: 'done', 1: 'ran and failed', 2: 'could not start as told', ...command.exitStatuses };
  return sections([
    `telemetry-sink ${command.name}: ${command.summary}`,
    `${paint(layout, 'bold', 'Usage:')} telemetry-sink ${command.name} ${usageArguments(command.groups)}`,
    command.description === undefined ? '' : wrap(command.description, layout.columns).join('\n'),
    command.examples === undefined ? '' : examplesText(command.examples, layout),
    optionsHelp(command.groups, layout),
    general,
    [
      paint(layout, 'bold', 'Exit status:'),
      ...Object.entries(statuses).map(([status, meaning]) => `  ${status}  ${meaning}`),
    ].join('\n'),
    wrap(
      'A flag wins over the environment variable in brackets, that over the .env file, that over the default. Sizes: 64KiB, 4MiB, 1.5GiB. Durations: 500ms, 5s, 1h30m.',
      layout.columns,
    ).join('\n'),
  ]);
}

function examplesText(examples: readonly CommandExample[], layout: HelpLayout): string {
  const lines = examples.map(({ line, help }) => `  ${line}\n      ${paint(layout, 'dim', help)}`);
  return [paint(layout, 'bold', 'Examples:'), ...lines].join('\n');
}

function sections(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
