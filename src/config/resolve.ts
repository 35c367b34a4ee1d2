/**
 * Declarations against flags, environment, .env file and defaults, in that order, into one frozen
 * object per group.
 *
 *  1. Every fault is found before any is reported; none throws.
 *  2. An empty variable is the same as an absent one (containers pass `NAME=` for unset); an empty
 *     flag or argument is a value.
 *  3. A secret's text is in nothing that leaves here except the config object itself.
 *  4. A default that does not pass its own parser is our fault: InvariantError.
 */
import { invariant } from '../base/assert.ts';
import { type AnyOptionGroup, flagOf, type Option } from '../base/option.ts';
import { acceptedText } from './accepted.ts';
import type { EnvFile } from './env-file.ts';
import { type ParsedOption, parseOption } from './parse-option.ts';
import type { Fault, Resolution, ResolvedOption, Source } from './resolution.ts';
import { nearest } from './suggest.ts';

export type OptionGroups = Readonly<Record<string, AnyOptionGroup>>;

/** What the command line gave, by `group.key`. A list option may have several texts. */
export type GivenByKey = ReadonlyMap<string, { readonly source: Source; readonly texts: readonly string[] }>;

export interface Inputs {
  readonly given: GivenByKey;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly envFile: EnvFile | undefined;
}

export function resolve(groups: OptionGroups, inputs: Inputs): Resolution {
  const options: ResolvedOption[] = [];
  const faults: Fault[] = [];
  const config: Record<string, Readonly<Record<string, unknown>>> = {};
  for (const [groupName, group] of Object.entries(groups)) {
    const values: Record<string, unknown> = {};
    const faultsBefore = faults.length;
    for (const [key, option] of Object.entries(group.options as Record<string, Option>)) {
      const resolved = resolveOption(groupName, key, option, inputs, faults);
      options.push(resolved);
      values[key] = resolved.value;
    }
    config[groupName] = Object.freeze(values);
    if (group.check !== undefined && faults.length === faultsBefore) {
      // `check` is typed by the group itself; here the group is any.
      for (const message of group.check(values as never)) {
        faults.push({ name: undefined, message, source: undefined });
      }
    }
  }
  const warnings = [...strayLines(inputs.envFile), ...misspeltVariables(groups, inputs)];
  return { config: Object.freeze(config), options, faults, warnings };
}

function resolveOption(
  group: string,
  key: string,
  option: Option,
  inputs: Inputs,
  faults: Fault[],
): ResolvedOption {
  const { source, texts } = findSource(`${group}.${key}`, option, inputs);
  const text = texts.join(',');
  const shown = option.secret === true ? '' : text;
  if (source.kind === 'default' && option.required === true) {
    const name = nameOf(option, source);
    faults.push({ name, message: `${name} is missing; accepted: ${acceptedText(option)}`, source });
    return { group, key, option, text: shown, value: undefined, source };
  }
  const parsed = option.type === 'list' ? parseTexts(texts, source) : parseOption(option, text);
  if (parsed.ok) return { group, key, option, text: shown, value: parsed.value, source };
  invariant(source.kind !== 'default', `the default of ${group}.${key} ${parsed.problem}`);
  const name = nameOf(option, source);
  faults.push({ name, message: faultMessage(option, text, parsed.problem, source), source });
  return { group, key, option, text: shown, value: undefined, source };
}

function findSource(
  path: string,
  option: Option,
  inputs: Inputs,
): { readonly source: Source; readonly texts: readonly string[] } {
  const given = inputs.given.get(path);
  if (given !== undefined) return given;
  if (option.env !== undefined) {
    const fromEnv = inputs.env[option.env];
    if (fromEnv !== undefined && fromEnv.trim() !== '')
      return { source: { kind: 'environment' }, texts: [fromEnv] };
    const fromFile = inputs.envFile?.entries.get(option.env);
    if (inputs.envFile !== undefined && fromFile !== undefined && fromFile.text.trim() !== '') {
      return {
        source: { kind: 'file', path: inputs.envFile.path, line: fromFile.line },
        texts: [fromFile.text],
      };
    }
  }
  return { source: { kind: 'default' }, texts: [option.default] };
}

/** A repeated flag or argument may hold commas; a variable and a default are split at them. */
function parseTexts(texts: readonly string[], source: Source): ParsedOption {
  const isRepeatable = source.kind === 'flag' || source.kind === 'argument';
  const values = isRepeatable ? [...texts] : texts.flatMap((text) => splitAtCommas(text));
  return { ok: true, value: Object.freeze(values) };
}

function splitAtCommas(text: string): readonly string[] {
  const parsed = parseOption({ type: 'list', help: '', default: '' }, text);
  return parsed.ok ? (parsed.value as readonly string[]) : [];
}

/** The name a person would change: the variable, else the flag, else the argument. */
export function nameOf(option: Option, source?: Source): string {
  if (source?.kind === 'argument') return option.env ?? `<${source.name}>`;
  const flag = flagOf(option);
  return option.env ?? (flag === undefined ? `<${option.positional ?? ''}>` : `--${flag}`);
}

export function sourceText(source: Source): string {
  switch (source.kind) {
    case 'flag':
      return `flag ${source.flag}`;
    case 'argument':
      return `argument <${source.name}>`;
    case 'environment':
      return 'environment';
    case 'file':
      return source.line === 0 ? source.path : `${source.path} line ${source.line}`;
    case 'default':
      return 'default';
  }
}

const SHOWN_CHARACTERS_MAX = 120;

function faultMessage(option: Option, text: string, problem: string, source: Source): string {
  const clipped = text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}[...]` : text;
  const shown = option.secret === true ? '(not shown)' : JSON.stringify(clipped);
  const guess = option.type === 'enum' ? nearest(text.trim().toLowerCase(), option.values) : undefined;
  const hint = guess === undefined || option.secret === true ? '' : ` (did you mean ${guess}?)`;
  return `${nameOf(option, source)} ${shown} (${sourceText(source)}) ${problem}${hint}; accepted: ${acceptedText(option)}`;
}

/** Variables that are nearly ours, in the file and in the environment. */
function misspeltVariables(groups: OptionGroups, inputs: Inputs): string[] {
  const ours = new Set<string>();
  for (const group of Object.values(groups)) {
    for (const option of Object.values(group.options as Record<string, Option>)) {
      if (option.env !== undefined) ours.add(option.env);
    }
  }
  const warnings: string[] = [];
  const look = (name: string, where: string): void => {
    if (ours.has(name)) return;
    // Short names are near to too much: of those only a name of ours in another case was surely meant.
    const guess = nearest(name.toUpperCase(), ours, name.length < 5 ? 0 : name.length < 8 ? 1 : 2);
    if (guess !== undefined) warnings.push(`${where}: ${name} is not known; did you mean ${guess}?`);
  };
  if (inputs.envFile !== undefined) {
    for (const [name, entry] of inputs.envFile.entries) {
      look(name, sourceText({ kind: 'file', path: inputs.envFile.path, line: entry.line }));
    }
  }
  for (const name of Object.keys(inputs.env)) look(name, 'environment');
  return warnings;
}

/** `ROTATE_BYTES: 10MiB` would be passed over in silence, and the default be in force. */
function strayLines(envFile: EnvFile | undefined): string[] {
  if (envFile === undefined) return [];
  return envFile.strayLines.map((line) => `${envFile.path}:${line} is not NAME=value and has no effect`);
}
