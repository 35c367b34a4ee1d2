/** One option's text into its value, by type. Says what is wrong, never throws, never prints. */
import { parseByteSize } from '../base/byte-size.ts';
import { parseDurationMs } from '../base/duration.ts';
import { parseListenAddress } from '../base/listen-address.ts';
import type { EnumOption, NumberOption, Option } from '../base/option.ts';

/** `problem` completes the sentence "NAME=value ..."; it never repeats the value, which may be secret. */
export type ParsedOption =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string };

const TRUE_WORDS = new Set(['true', '1', 'yes', 'on']);
const FALSE_WORDS = new Set(['false', '0', 'no', 'off']);

export function parseOption(option: Option, text: string): ParsedOption {
  switch (option.type) {
    case 'string':
      return { ok: true, value: text };
    case 'path':
      return text.includes('\0') ? wrong('is not a path') : { ok: true, value: text };
    case 'list':
      return { ok: true, value: Object.freeze(splitList(text)) };
    case 'boolean':
      return parseBoolean(text);
    case 'enum':
      return parseEnum(option, text);
    case 'address': {
      const address = parseListenAddress(text);
      return address === undefined
        ? wrong('is not an address')
        : { ok: true, value: Object.freeze({ ...address }) };
    }
    default:
      return parseNumber(option, text);
  }
}

export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function parseBoolean(text: string): ParsedOption {
  const word = text.trim().toLowerCase();
  if (TRUE_WORDS.has(word)) return { ok: true, value: true };
  if (FALSE_WORDS.has(word)) return { ok: true, value: false };
  return wrong('is neither true nor false');
}

function parseEnum(option: EnumOption, text: string): ParsedOption {
  const word = text.trim().toLowerCase();
  const value =
    option.values.find((candidate) => candidate.toLowerCase() === word) ??
    Object.entries(option.aliases ?? {}).find(([alias]) => alias.toLowerCase() === word)?.[1];
  return value === undefined ? wrong('is not one of the choices') : { ok: true, value };
}

function parseNumber(option: NumberOption, text: string): ParsedOption {
  if (option.zeroWord !== undefined && text.trim().toLowerCase() === option.zeroWord) {
    return { ok: true, value: 0 };
  }
  const value = numberOf(option, text);
  if (typeof value === 'string') return wrong(value);
  if (value === 0 && option.zero !== undefined) return { ok: true, value };
  if (value < option.min) return wrong('is too small');
  if (value > option.max) return wrong('is too large');
  return { ok: true, value };
}

/** The number, or what is wrong with the text. */
function numberOf(option: NumberOption, text: string): number | string {
  switch (option.type) {
    case 'bytes':
      return parseByteSize(text) ?? 'is not a size';
    case 'duration':
      if (/^\s*\d+(\.\d+)?\s*$/.test(text) && Number(text) !== 0) return 'is a duration without a unit';
      return parseDurationMs(text) ?? 'is not a duration';
    case 'integer': {
      const value = /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : Number.NaN;
      return Number.isSafeInteger(value) ? value : 'is not a whole number';
    }
    case 'number': {
      const value = /^\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : Number.NaN;
      return Number.isFinite(value) ? value : 'is not a number';
    }
  }
}

function wrong(problem: string): ParsedOption {
  return { ok: false, problem };
}
