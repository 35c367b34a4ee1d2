/**
 * How a module declares its options: once, with name, type, default and one-line help. The `config.ts`
 * beside a module holds its declaration; `src/config/` resolves declarations against flags,
 * environment and file; .env.example, `--help` and docs/configuration.md are generated from them.
 */
import type { ListenAddress } from './listen-address.ts';

interface OptionBase {
  /** Environment name, `ROTATE_BYTES`. Absent: the option is given on the command line only. */
  readonly env?: string;
  /** Long flag without dashes, `rotate-bytes`. Absent: derived from `env`. */
  readonly flag?: string;
  /** One letter, `n` for `-n`. */
  readonly short?: string;
  /** Also taken from a bare argument; this is its name in the usage line, `folder`. In order of declaration. */
  readonly positional?: string;
  /** Nothing stands in for a missing value: it is a fault. `default` is then ''. */
  readonly required?: boolean;
  /** One line, starts with a capital, no full stop needed. */
  readonly help: string;
  /** As a person would write it, `256MiB`. Goes through the same parser as input. */
  readonly default: string;
  /** Never printed back, in faults or anywhere. */
  readonly secret?: boolean;
}

export interface TextOption extends OptionBase {
  readonly type: 'string' | 'path';
}
export interface NumberOption extends OptionBase {
  /** `number` may have a fraction, `integer` not. */
  readonly type: 'integer' | 'number' | 'bytes' | 'duration';
  /** Inclusive, in the parsed unit: bytes or milliseconds. */
  readonly min: number;
  readonly max: number;
  /** For integers and numbers: what is counted, `readings`. */
  readonly unit?: string;
  /** The meaning of 0 where 0 is allowed, `off`. */
  readonly zero?: string;
  /** A word that may stand for 0, `auto`. */
  readonly zeroWord?: string;
}
export interface BooleanOption extends OptionBase {
  readonly type: 'boolean';
}
export interface EnumOption extends OptionBase {
  readonly type: 'enum';
  readonly values: readonly string[];
  /** Other spellings understood: `{ warning: 'warn' }`. */
  readonly aliases?: Readonly<Record<string, string>>;
}
export interface AddressOption extends OptionBase {
  readonly type: 'address';
}
/** The flag is repeatable, the variable comma-separated. As a positional it takes all that is left. */
export interface ListOption extends OptionBase {
  readonly type: 'list';
}

export type Option = TextOption | NumberOption | BooleanOption | EnumOption | AddressOption | ListOption;

export type OptionValue<O extends Option> = O extends NumberOption
  ? number
  : O extends BooleanOption
    ? boolean
    : O extends EnumOption
      ? O['values'][number]
      : O extends AddressOption
        ? ListenAddress
        : O extends ListOption
          ? readonly string[]
          : string;

export interface OptionGroup<T extends Readonly<Record<string, Option>> = Readonly<Record<string, Option>>> {
  /** Heading in help and documentation. */
  readonly title: string;
  readonly options: T;
  /** Checks across this group's own options; returns faults to report, each naming its variables. */
  readonly check?: (values: OptionValues<T>) => readonly string[];
}

export type OptionValues<T extends Readonly<Record<string, Option>>> = {
  readonly [K in keyof T]: OptionValue<T[K]>;
};

// biome-ignore lint/suspicious/noExplicitAny: `check` makes a group contravariant in its options
export type AnyOptionGroup = OptionGroup<any>;

export type GroupValues<G> = G extends OptionGroup<infer T> ? OptionValues<T> : never;

export function optionGroup<const T extends Readonly<Record<string, Option>>>(
  group: OptionGroup<T>,
): OptionGroup<T> {
  return group;
}

/** The long flag without dashes, or undefined for one that is only positional or only a variable. */
export function flagOf(option: Option): string | undefined {
  return option.flag ?? option.env?.toLowerCase().replaceAll('_', '-');
}
