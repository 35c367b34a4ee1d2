/**
 * The options of the daemon as a part of the chart's values.schema.json, so that helm refuses a misspelt option or
 * a value of the wrong kind before anything is deployed. Taken from the same declarations as `--help` and
 * docs/configuration.md.
 *
 *   node scripts/chart-options.ts            writes definitions.options of the schema
 *   node scripts/chart-options.ts --check    fails when it is not fresh
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Option, OptionGroup } from '../src/base/option.ts';

export type JsonSchema = { readonly [key: string]: unknown };

const ROOT = join(import.meta.dirname, '..');
export const SCHEMA_FILE = join(ROOT, 'k8s/telemetry-sink/charts/values.schema.json');

/** Every option of `serve` that has an environment name, by that name. */
export async function daemonOptions(): Promise<ReadonlyMap<string, Option>> {
  const files = globSync(['src/*/config.ts', 'src/commands/serve/config.ts'], { cwd: ROOT }).sort();
  const options = new Map<string, Option>();
  for (const file of files) {
    const exported = Object.values(await import(pathToFileURL(join(ROOT, file)).href));
    for (const group of exported.filter(isOptionGroup)) {
      for (const option of Object.values(group.options)) {
        if (option.env !== undefined) options.set(option.env, option);
      }
    }
  }
  return options;
}

function isOptionGroup(value: unknown): value is OptionGroup {
  return typeof value === 'object' && value !== null && 'title' in value && 'options' in value;
}

/** `properties` of the chart's `config` map. Secrets are left out: they belong into a Secret. */
export function optionsSchema(options: ReadonlyMap<string, Option>): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  for (const name of [...options.keys()].sort()) {
    const option = options.get(name)!;
    if (option.secret !== true) properties[name] = { description: option.help, ...valueSchema(option) };
  }
  return { type: 'object', additionalProperties: false, properties };
}

/** As wide as the daemon's own parser: YAML may hold a number or boolean where the environment holds its text. */
function valueSchema(option: Option): JsonSchema {
  switch (option.type) {
    case 'boolean':
      return { type: ['boolean', 'string'], pattern: '^(true|false|yes|no|on|off|1|0)$' };
    case 'enum': {
      const words = [...option.values, ...Object.keys(option.aliases ?? {})];
      return { enum: [...new Set(words.flatMap((word) => [word, word.toUpperCase()]))] };
    }
    case 'integer': {
      const word = option.zeroWord === undefined ? '' : `|${option.zeroWord}`;
      return {
        ...range(option),
        type: ['integer', 'string'],
        pattern: word === '' ? '^[+-]?[0-9]+$' : `^([+-]?[0-9]+${word})$`,
      };
    }
    case 'bytes':
      return {
        ...range(option),
        type: ['integer', 'string'],
        pattern: '^[0-9]+([.][0-9]+)? ?([bB]|[kKmMgGtT]([iI]?[bB])?)?$',
      };
    case 'duration':
      // A number has no unit; only 0 needs none.
      return {
        type: ['integer', 'string'],
        minimum: 0,
        maximum: 0,
        pattern: '^(0|([0-9]+([.][0-9]+)?(us|µs|ms|s|m|h|d))+)$',
      };
    case 'address':
      return { type: 'string', pattern: ':[0-9]+$' };
    case 'path':
    case 'string':
      return { type: 'string' };
    default:
      return { type: ['number', 'string'] };
  }
}

function range(option: Extract<Option, { min: number }>): JsonSchema {
  const minimum = option.zero === undefined ? option.min : 0;
  return option.max < Number.MAX_SAFE_INTEGER ? { minimum, maximum: option.max } : { minimum };
}

/** The schema's text as it is, and as it should be. */
export async function schemaTexts(): Promise<{ readonly present: string; readonly fresh: string }> {
  const present = readFileSync(SCHEMA_FILE, 'utf8');
  const schema = JSON.parse(present) as { definitions: Record<string, unknown> };
  schema.definitions.options = optionsSchema(await daemonOptions());
  return { present, fresh: `${JSON.stringify(schema, null, 2)}\n` };
}

if (process.argv[1] === import.meta.filename) {
  const { present, fresh } = await schemaTexts();
  if (process.argv.includes('--check')) {
    if (present !== fresh) {
      console.error('values.schema.json does not match the options; run: node scripts/chart-options.ts');
      process.exitCode = 1;
    }
  } else if (present !== fresh) {
    writeFileSync(SCHEMA_FILE, fresh);
  }
}
