/**
 * One line of standard input: a reading as a JSON object with the keys of the journal's line.
 *
 * Whole numbers keep every digit: JSON.parse alone would round sensor_value past 2^53, so the digits are
 * taken from the source text. What the daemon itself adds (received_at, producer_id, sequence) is
 * ignored, so that a journal's lines can be sent again; any other unknown key is a fault, because a
 * misspelt key would otherwise lose a value without a word.
 */
import type { ReadingValue } from './request-encoder.ts';

export interface StdinReading {
  readonly sensorName: string;
  readonly value: ReadingValue;
  /** Undefined: sent without created_at. */
  readonly seconds: number | undefined;
  readonly nanos: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** Says what is wrong with a line, without the line number. */
export class LineFault extends Error {
  override readonly name = 'LineFault';
}

const KNOWN_KEYS: ReadonlySet<string> = new Set([
  'sensor_name',
  'sensor_value',
  'double_value',
  'bool_value',
  'string_value',
  'created_at',
  'labels',
  'received_at',
  'producer_id',
  'sequence',
]);
const VALUE_KEYS = ['sensor_value', 'double_value', 'bool_value', 'string_value'] as const;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
const NON_FINITE: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

type SourceReviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const parseWithSource = JSON.parse as (text: string, reviver: SourceReviver) => unknown;

export function parseStdinLine(text: string, nowMs: number): StdinReading {
  let parsed: unknown;
  try {
    parsed = parseWithSource(text, (key, value, context) =>
      key === 'sensor_value' && typeof value === 'number' ? (context.source ?? value) : value,
    );
  } catch (error) {
    throw new LineFault(`not JSON (${(error as Error).message})`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new LineFault('not a JSON object');
  }
  const line = parsed as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(line)) {
    if (!KNOWN_KEYS.has(key)) throw new LineFault(`unknown key ${JSON.stringify(key)}`);
  }
  const sensorName = wellFormed('sensor_name', line.sensor_name);
  if (sensorName === '') throw new LineFault('sensor_name is empty');
  const time = createdAt(line.created_at, nowMs);
  return {
    sensorName,
    value: measuredValue(line),
    seconds: time?.seconds,
    nanos: time?.nanos ?? 0,
    labels: labelsOf(line.labels),
  };
}

function wellFormed(key: string, value: unknown): string {
  if (value === undefined) throw new LineFault(`${key} is missing`);
  if (typeof value !== 'string') throw new LineFault(`${key} is not a string`);
  if (!value.isWellFormed()) throw new LineFault(`${key} holds half a surrogate pair`);
  return value;
}

function measuredValue(line: Readonly<Record<string, unknown>>): ReadingValue {
  const present = VALUE_KEYS.filter((key) => line[key] !== undefined && line[key] !== null);
  if (present.length > 1) throw new LineFault(`more than one value: ${present.join(' and ')}`);
  const key = present[0];
  if (key === undefined) return { kind: 'none' };
  const value = line[key];
  switch (key) {
    case 'sensor_value': {
      if (typeof value !== 'string' || !/^-?\d+$/.test(value)) {
        throw new LineFault('sensor_value is not a whole number (fractions go into double_value)');
      }
      const exact = BigInt(value);
      if (exact < MIN_INT64 || exact > MAX_INT64) throw new LineFault('sensor_value is outside int64');
      return { kind: 'int', value: exact };
    }
    case 'double_value': {
      const double = typeof value === 'string' ? NON_FINITE[value] : value;
      if (typeof double !== 'number') throw new LineFault('double_value is not a number');
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new LineFault('double_value is too large for a double');
      }
      return { kind: 'double', value: double };
    }
    case 'bool_value':
      if (typeof value !== 'boolean') throw new LineFault('bool_value is neither true nor false');
      return { kind: 'bool', value };
    case 'string_value':
      return { kind: 'string', value: wellFormed(key, value) };
  }
}

function labelsOf(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new LineFault('labels is not an object');
  for (const [key, label] of Object.entries(value)) {
    wellFormed('a label name', key);
    wellFormed(`label ${JSON.stringify(key)}`, label);
  }
  return value as Readonly<Record<string, string>>;
}

interface Instant {
  readonly seconds: number;
  readonly nanos: number;
}

/** Missing means now; null, as the journal writes it for a reading without a time, means none. */
function createdAt(value: unknown, nowMs: number): Instant | undefined {
  if (value === null) return undefined;
  if (value === undefined) {
    const seconds = Math.floor(nowMs / 1000);
    return { seconds, nanos: Math.round((nowMs - seconds * 1000) * 1_000_000) };
  }
  const instant = typeof value === 'string' ? parseRfc3339(value) : undefined;
  if (instant === undefined) {
    throw new LineFault('created_at is not an RFC 3339 time such as 2026-11-20T10:00:00.5Z, year 1 to 9999');
  }
  return instant;
}

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

export function parseRfc3339(text: string): Instant | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const offsetMinutes = (Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0)) * (match[8] === '-' ? -1 : 1);
  if (hour > 23 || minute > 59 || second > 59 || Number(match[9] ?? 0) > 23 || Number(match[10] ?? 0) > 59) {
    return undefined;
  }
  const date = new Date(0);
  // Not Date.UTC, which takes the years 1 to 99 for those of the 20th century.
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const seconds = date.getTime() / 1000 + hour * 3600 + (minute - offsetMinutes) * 60 + second;
  if (seconds < -62_135_596_800 || seconds > 253_402_300_799) return undefined;
  return { seconds, nanos: Number((match[7] ?? '').padEnd(9, '0')) };
}
