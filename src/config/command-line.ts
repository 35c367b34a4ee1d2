/**
 * One command's arguments into what `resolve` takes: texts by `group.key`, each with its source.
 * Commander tells options from arguments and finds what is unknown; nothing is parsed by type here,
 * so that a bad value on the command line is reported together with a bad one in the file.
 */
import { Command, CommanderError, Option as CommanderOption } from 'commander';
import { invariant } from '../base/assert.ts';
import { SinkError } from '../base/errors.ts';
import { flagOf, type Option } from '../base/option.ts';
import { placeholderText } from './accepted.ts';
import type { Source } from './resolution.ts';
import type { GivenByKey, OptionGroups } from './resolve.ts';

export interface ParsedCommandLine {
  readonly given: GivenByKey;
  /** `--dotenv`, when it was given. */
  readonly envFilePath: string | undefined;
  readonly wantsHelp: boolean;
}

interface Declared {
  /** `group.key`. */
  readonly path: string;
  readonly option: Option;
  readonly flag: string | undefined;
}

export function parseCommandLine(
  commandName: string,
  groups: OptionGroups,
  args: readonly string[],
): ParsedCommandLine {
  const declared = declaredOptions(groups);
  const given = new Map<string, { source: Source; texts: readonly string[] }>();
  let envFilePath: string | undefined;
  let wantsHelp = false;

  const give = (path: string, source: Source, texts: readonly string[]): void => {
    given.set(path, { source, texts });
  };
  const parser = new Command(commandName).helpOption(false).argument('[arguments...]').exitOverride();
  parser.configureOutput({ writeErr: () => {}, writeOut: () => {} });
  parser.option('-h, --help').on('option:help', () => {
    wantsHelp = true;
  });
  // Not --env-file: Node takes that for itself, also behind the script, and ends when the file is missing.
  parser.option('--dotenv <path>').on('option:dotenv', (path: string) => {
    envFilePath = path;
  });
  for (const { path, option, flag } of declared) {
    if (flag === undefined) continue;
    const source: Source = { kind: 'flag', flag: `--${flag}` };
    const short = option.short === undefined ? '' : `-${option.short}, `;
    if (option.type === 'boolean') {
      parser.addOption(new CommanderOption(`${short}--${flag}`));
      parser.addOption(new CommanderOption(`--no-${flag}`));
      parser.on(`option:${flag}`, () => give(path, source, ['true']));
      parser.on(`option:no-${flag}`, () => give(path, { kind: 'flag', flag: `--no-${flag}` }, ['false']));
    } else {
      parser.addOption(new CommanderOption(`${short}--${flag} ${placeholderText(option)}`));
      parser.on(`option:${flag}`, (text: string) => {
        const before = option.type === 'list' ? (given.get(path)?.texts ?? []) : [];
        give(path, source, [...before, text]);
      });
    }
  }

  const rest = takeBooleanValues(args, declared, give);
  try {
    parser.parse(rest, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw usageError(commandName, commanderMessage(error));
  }
  if (!wantsHelp) takePositionals(commandName, declared, parser.args, give);
  return { given, envFilePath, wantsHelp };
}

export function declaredOptions(groups: OptionGroups): readonly Declared[] {
  const declared: Declared[] = [];
  const owners = new Map<string, string>();
  for (const [group, { options }] of Object.entries(groups)) {
    for (const [key, option] of Object.entries(options as Record<string, Option>)) {
      const path = `${group}.${key}`;
      const flag = flagOf(option);
      for (const name of [flag, option.short]) {
        if (name === undefined) continue;
        invariant(!owners.has(name), `flag ${name} is declared by ${owners.get(name)} and ${path}`);
        owners.set(name, path);
      }
      declared.push({ path, option, flag });
    }
  }
  return declared;
}

export function usageError(commandName: string, message: string): SinkError {
  const command = commandName === '' ? 'telemetry-sink' : `telemetry-sink ${commandName}`;
  return new SinkError('USAGE', `${message} See '${command} --help'.`);
}

/** `--json=false`: commander knows no values on booleans. The value is checked with all the others. */
function takeBooleanValues(
  args: readonly string[],
  declared: readonly Declared[],
  give: (path: string, source: Source, texts: readonly string[]) => void,
): string[] {
  const booleans = new Map<string, string>();
  for (const { path, option, flag } of declared) {
    if (option.type === 'boolean' && flag !== undefined) booleans.set(flag, path);
  }
  const end = args.indexOf('--');
  return args.filter((arg, index) => {
    if (end !== -1 && index >= end) return true;
    const match = /^--([^=]+)=(.*)$/s.exec(arg);
    const path = match === null ? undefined : booleans.get(match[1]!);
    if (path === undefined) return true;
    give(path, { kind: 'flag', flag: `--${match![1]!}` }, [match![2]!]);
    return false;
  });
}

function takePositionals(
  commandName: string,
  declared: readonly Declared[],
  texts: readonly string[],
  give: (path: string, source: Source, texts: readonly string[]) => void,
): void {
  let rest = texts;
  for (const { path, option } of declared) {
    if (option.positional === undefined || rest.length === 0) continue;
    const source: Source = { kind: 'argument', name: option.positional };
    const taken = option.type === 'list' ? rest.length : 1;
    give(path, source, rest.slice(0, taken));
    rest = rest.slice(taken);
  }
  if (rest.length > 0) throw usageError(commandName, `unexpected argument ${JSON.stringify(rest[0])}.`);
}

/** `error: unknown option '--x'\n(Did you mean --y?)` as one line of ours. */
function commanderMessage(error: CommanderError): string {
  if (/^error: unknown option '--env-file/.test(error.message)) {
    return '--env-file belongs to Node.js, which has read it already; our own is --dotenv.';
  }
  const [first = '', ...more] = error.message.replace(/^error: /, '').split('\n');
  const hint = more.join(' ').replace(/^\((.*)\)$/, ' $1');
  return `${first}.${hint}`;
}
