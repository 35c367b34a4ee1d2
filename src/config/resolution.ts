/** What resolving the options came to: the values, where each came from, and every fault and warning. */
import type { Option } from '../base/option.ts';

export type Source =
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'argument'; readonly name: string }
  | { readonly kind: 'environment' }
  | { readonly kind: 'file'; readonly path: string; readonly line: number }
  | { readonly kind: 'default' };

/** One option as it was resolved. */
export interface ResolvedOption {
  readonly group: string;
  readonly key: string;
  readonly option: Option;
  /** As it was written; '' for secrets in anything printed. */
  readonly text: string;
  /** Undefined when `text` was at fault. */
  readonly value: unknown;
  readonly source: Source;
}

/** A reason not to start. `message` is one complete line and never holds a secret. */
export interface Fault {
  /** The environment name or the flag; undefined for checks across options. */
  readonly name: string | undefined;
  readonly message: string;
  readonly source: Source | undefined;
}

export interface Resolution {
  /** One frozen object per group; complete only when there are no faults. */
  readonly config: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly options: readonly ResolvedOption[];
  readonly faults: readonly Fault[];
  /** Reasons to look twice, such as a variable that looks like a misspelt one. */
  readonly warnings: readonly string[];
}
