/**
 * The command line: finds the command, resolves its options, runs it, and turns what it throws into
 * one clear line and an exit status. It wires nothing of the daemon; commands do.
 *
 * Exit statuses: 0 done, 1 ran and failed (or a fault of ours, with its stack), 2 could not start as told.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorMessage, SinkError } from './base/errors.ts';
import { type CatalogueEntry, catalogue } from './commands/catalogue.ts';
import type { AnyCommand, CommandConfig, CommandIo, Groups } from './commands/command.ts';
import { commandHelp, programHelp } from './commands/help.ts';
import { parseCommandLine, usageError } from './config/command-line.ts';
import { readEnvFile } from './config/env-file.ts';
import type { Fault, Resolution } from './config/resolution.ts';
import { resolve } from './config/resolve.ts';
import { nearest } from './config/suggest.ts';
import { readBuildInfo } from './observe/build-info.ts';

export interface MainOptions {
  readonly args: readonly string[];
  readonly io: CommandIo;
  /** Width for help. */
  readonly columns: number;
}

/** The exit status. Never throws and never exits by itself. */
export async function main(options: MainOptions): Promise<number> {
  const { io } = options;
  try {
    return await dispatch(options);
  } catch (error) {
    if (error instanceof SinkError) {
      io.stderr.write(`telemetry-sink: ${error.message}\n`);
      return error.exitStatus;
    }
    const stack = error instanceof Error ? error.stack : undefined;
    io.stderr.write(`telemetry-sink: unexpected fault, please report it\n${stack ?? errorMessage(error)}\n`);
    return 1;
  }
}

async function dispatch({ args, io, columns }: MainOptions): Promise<number> {
  const layout = { columns: Math.min(Math.max(columns, 60), 110), isColour: io.isColour };
  const [first, ...rest] = args;
  switch (first) {
    case undefined:
      io.stderr.write(programHelp(catalogue, { ...layout, isColour: false }));
      return 2;
    case '-h':
    case '--help':
      io.stdout.write(programHelp(catalogue, layout));
      return 0;
    case '-v':
    case '-V':
    case '--version':
    case 'version': {
      const { version, commit, node } = readBuildInfo();
      io.stdout.write(`telemetry-sink ${version} (commit ${commit}, Node.js ${node})\n`);
      return 0;
    }
    case 'help': {
      if (rest[0] === undefined) return await dispatch({ args: ['--help'], io, columns });
      io.stdout.write(commandHelp(await findEntry(rest[0]).load(), layout));
      return 0;
    }
  }
  const entry = findEntry(first);
  return await runCommand(await entry.load(), rest, io, layout);
}

function findEntry(name: string): CatalogueEntry {
  const entry = catalogue.find((candidate) => candidate.name === name);
  if (entry !== undefined) return entry;
  if (name.startsWith('-')) {
    throw usageError(
      '',
      `the first argument is the command, not ${JSON.stringify(name)}; options follow it.`,
    );
  }
  const guess = nearest(name, [...catalogue.map((candidate) => candidate.name), 'help', 'version']);
  const hint = guess === undefined ? '' : ` Did you mean ${guess}?`;
  throw usageError('', `unknown command ${JSON.stringify(name)}.${hint}`);
}

async function runCommand(
  command: AnyCommand,
  args: readonly string[],
  io: CommandIo,
  layout: { readonly columns: number; readonly isColour: boolean },
): Promise<number> {
  const { given, envFilePath, wantsHelp } = parseCommandLine(command.name, command.groups, args);
  if (wantsHelp) {
    io.stdout.write(commandHelp(command, layout));
    return 0;
  }
  const envFile = readEnvFile(envFilePath ?? '.env', envFilePath !== undefined);
  const resolution = resolve(command.groups, { given, env: io.env, envFile });
  const faults = allFaults(command, resolution);
  if (faults.length > 0) {
    if (command.reportFaults !== undefined) return command.reportFaults(faults, resolution, io);
    io.stderr.write(faultsText(command.name, faults, resolution.warnings));
    return 2;
  }
  // `validate` reports warnings in its own form.
  if (command.reportFaults === undefined) io.stderr.write(warningsText(resolution.warnings));
  return await command.run(configOf(resolution), io, resolution);
}

function allFaults(command: AnyCommand, resolution: Resolution): readonly Fault[] {
  if (resolution.faults.length > 0 || command.check === undefined) return resolution.faults;
  const messages: readonly string[] = command.check(configOf(resolution));
  return messages.map((message) => ({ name: undefined, message, source: undefined }));
}

/** The types were checked where the command was declared; its groups gave the config its shape. */
function configOf(resolution: Resolution): CommandConfig<Groups> {
  return resolution.config as CommandConfig<Groups>;
}

function warningsText(warnings: readonly string[]): string {
  return warnings.map((warning) => `telemetry-sink: warning: ${warning}\n`).join('');
}

function faultsText(name: string, faults: readonly Fault[], warnings: readonly string[]): string {
  const head = faults.length === 1 ? 'a fault' : `${faults.length} faults`;
  const lines = faults.map(({ message }) => `  ${message}\n`).join('');
  return `${warningsText(warnings)}telemetry-sink: ${head} in the configuration:\n${lines}See 'telemetry-sink ${name} --help'.\n`;
}

/** The real process: what bin/telemetry-sink.js calls, and what runs when this file itself is started. */
export async function runProcess(): Promise<void> {
  const { stdin, stdout, stderr, env } = process;
  // `telemetry-sink tail | head` ends when head does; that is no fault.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const isTty = stdout.isTTY === true;
  const isColour = isTty && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
  const io: CommandIo = { stdin, stdout, stderr, isTty, isColour, env };
  // Behind `| less` the terminal is still there, and standard error knows how wide it is.
  const columns = stdout.columns || stderr.columns || 100;
  const status = await main({ args: process.argv.slice(2), io, columns });
  // What was written to a pipe may still be under way; then nothing that lingers may keep us.
  await new Promise<void>((done) => stdout.write('', () => stderr.write('', () => done())));
  process.exit(status);
}

function isStartedDirectly(): boolean {
  const started = process.argv[1];
  if (started === undefined) return false;
  try {
    return realpathSync(started) === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}

if (isStartedDirectly()) await runProcess();
