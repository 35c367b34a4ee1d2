/**
 * How a module declares its options: once, with name, type, default and one-line help. The `config.ts`
 * beside a module holds its declaration; `src/config/` resolves declarations against flags,
 * environment and file; .env.example, `--help` and docs/configuration.md are generated from them.
 */
import type { ListenAddress } from './listen-address.ts';

interface OptionBase {
  /** Environment name, `ROTATE_BYTES`. The flag is derived from it: `--rotate-bytes`. */
  readonly env: string;
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
  readonly type: 'integer' | 'bytes' | 'duration';
  /** Inclusive, in the parsed unit: bytes or milliseconds. */
  readonly min: number;
  readonly max: number;
  /** For integers: what is counted, `readings`. */
  readonly unit?: string;
  /** The meaning of 0 where 0 is allowed, `off`. */
  readonly zero?: string;
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

export type Option = TextOption | NumberOption | BooleanOption | EnumOption | AddressOption;

export type OptionValue<O extends Option> = O extends NumberOption
  ? number
  : O extends BooleanOption
    ? boolean
    : O extends EnumOption
      ? O['values'][number]
      : O extends AddressOption
        ? ListenAddress
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

export type GroupValues<G> = G extends OptionGroup<infer T> ? OptionValues<T> : never;

export function optionGroup<const T extends Readonly<Record<string, Option>>>(
  group: OptionGroup<T>,
): OptionGroup<T> {
  return group;
}
