/**
 * The shape of a command. A file of its own exports one, and catalogue.ts names the file:
 *
 *   const options = optionGroup({ title: 'What to check', options: {
 *     folder: { ...journalOptions.options.filePath, positional: 'folder' }, // `verify data` or FILE_PATH
 *     json: { flag: 'json', type: 'boolean', default: 'false', help: 'Print one JSON object' },
 *     concurrency: { env: 'VERIFY_CONCURRENCY', short: 'c', type: 'integer', min: 1, max: 64, default: '4', help: '...' },
 *   } });
 *   export const verifyCommand = command({
 *     name: 'verify', summary: 'Check a folder against its manifest', groups: { verify: options },
 *     examples: [{ line: 'telemetry-sink verify data', help: 'check everything' }],
 *     async run(config, io) { io.stdout.write(`${config.verify.folder}\n`); return 0; },
 *   });
 *
 * `run` gets one frozen object per group, already parsed and checked, and returns the exit status. It
 * throws SinkError for what ends it with one line; it never calls process.exit and never reads
 * process.env or process.argv. Heavy modules are imported inside `run`, so that `--help` stays quick.
 */
import type { Readable, Writable } from 'node:stream';
import type { AnyOptionGroup, GroupValues } from '../base/option.ts';
import type { Fault, Resolution } from '../config/resolution.ts';

export type Groups = Readonly<Record<string, AnyOptionGroup>>;

export type CommandConfig<G extends Groups> = { readonly [K in keyof G]: GroupValues<G[K]> };

export interface CommandIo {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Standard output is a terminal: progress and tables for eyes; otherwise plain lines for programs. */
  readonly isTty: boolean;
  /** Colour is welcome on standard output: a terminal, and NO_COLOR is not set. */
  readonly isColour: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface CommandExample {
  readonly line: string;
  readonly help: string;
}

export interface Command<G extends Groups = Groups> {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Paragraphs above the options; a blank line between them, wrapped by the help. */
  readonly description?: string;
  readonly examples?: readonly CommandExample[];
  /** What the exit statuses mean, where there is more to say than 0, 1, 2. */
  readonly exitStatuses?: Readonly<Record<number, string>>;
  readonly groups: G;
  /** Checks across groups; returns faults to report, each naming its variables. Only when all parsed. */
  readonly check?: (config: CommandConfig<G>) => readonly string[];
  /** Takes over the reporting of configuration faults and returns the exit status. Rarely wanted. */
  readonly reportFaults?: (faults: readonly Fault[], resolution: Resolution, io: CommandIo) => number;
  /** The exit status: 0 done, 1 ran and failed, 2 could not start as told. */
  readonly run: (config: CommandConfig<G>, io: CommandIo, resolution: Resolution) => Promise<number>;
}

// biome-ignore lint/suspicious/noExplicitAny: the catalogue holds commands of every shape
export type AnyCommand = Command<any>;

export function command<const G extends Groups>(definition: Command<G>): Command<G> {
  return definition;
}
