/**
 * The options of a benchmark: every one has a default and a help text, a typo is refused, and what was
 * asked for goes into the result.
 */
import { parseArgs } from 'node:util';
import { formatDurationMs, parseDurationMs } from '../src/base/duration.ts';

export interface BenchOption {
  /** A flag when it is `false`; otherwise the value's text. */
  readonly default: string | false;
  readonly help: string;
}

export class BenchArguments<Name extends string> {
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;
  readonly #options: Readonly<Record<Name, BenchOption>>;

  /** Prints the help or the fault and ends the process where there is nothing to run. */
  constructor(about: string, options: Readonly<Record<Name, BenchOption>>, args = process.argv.slice(2)) {
    this.#options = options;
    const declared: Record<string, { type: 'string' | 'boolean' }> = { help: { type: 'boolean' } };
    for (const [name, option] of Object.entries<BenchOption>(options)) {
      declared[name] = { type: option.default === false ? 'boolean' : 'string' };
    }
    try {
      this.#values = parseArgs({ args, options: declared, strict: true }).values;
    } catch (error) {
      this.fail((error as Error).message);
    }
    if (this.#values.help === true) {
      console.log(`${about}\n`);
      for (const [name, option] of Object.entries<BenchOption>(options)) {
        const given = option.default === false ? '' : ` (${option.default === '' ? 'none' : option.default})`;
        console.log(`  --${name.padEnd(16)}${option.help}${given}`);
      }
      process.exit(0);
    }
  }

  fail(message: string): never {
    console.error(message);
    process.exit(2);
  }

  isSet(name: Name): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== false;
  }

  text(name: Name): string {
    return String(this.#values[name] ?? this.#options[name].default);
  }

  list(name: Name, allowed?: readonly string[]): readonly string[] {
    const items = this.text(name)
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
    const stranger = items.find((item) => allowed !== undefined && !allowed.includes(item));
    if (stranger !== undefined) this.fail(`--${name} ${stranger}: choose from ${allowed!.join(', ')}`);
    return items;
  }

  number(name: Name, least = 0): number {
    return this.#numberOf(name, this.text(name), least);
  }

  counts(name: Name): readonly number[] {
    return this.list(name).map((item) => {
      const count = this.#numberOf(name, item, 1);
      if (!Number.isInteger(count)) this.fail(`--${name} ${item}: whole numbers from 1`);
      return count;
    });
  }

  count(name: Name): number {
    return this.counts(name)[0] ?? this.fail(`--${name} needs a number`);
  }

  durationMs(name: Name): number {
    const durationMs = parseDurationMs(this.text(name));
    return durationMs ?? this.fail(`--${name} ${this.text(name)}: a duration like 500ms, 5s, 10m`);
  }

  #numberOf(name: Name, text: string, least: number): number {
    const value = Number(text);
    if (text.trim() !== '' && Number.isFinite(value) && value >= least) return value;
    this.fail(`--${name} ${text}: a number from ${least} up`);
  }
}

export { formatDurationMs };
