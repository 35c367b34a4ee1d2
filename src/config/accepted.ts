/** What an option accepts, in words: one wording for faults, help and documentation. */
import { formatByteSize } from '../base/byte-size.ts';
import { formatDurationMs } from '../base/duration.ts';
import type { NumberOption, Option } from '../base/option.ts';

function formatNumber(option: NumberOption, value: number): string {
  if (option.type === 'bytes') return formatByteSize(value);
  if (option.type === 'duration') return formatDurationMs(value);
  return String(value);
}

function rangeText(option: NumberOption): string {
  const hasMax = option.max < Number.MAX_SAFE_INTEGER;
  // An option whose 0 means something says so by itself, so its range begins at 1.
  const startsAtZero = option.zero !== undefined && option.min === 0;
  if (startsAtZero) return hasMax ? `up to ${formatNumber(option, option.max)}` : '';
  if (!hasMax) return `${formatNumber(option, option.min)} or more`;
  return `${formatNumber(option, option.min)} to ${formatNumber(option, option.max)}`;
}

const KIND_TEXT = {
  bytes: 'a size such as 64KiB or 1.5GiB',
  duration: 'a duration such as 500ms, 5s or 1h30m',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  address: 'an address such as localhost:8000, :50051 or [::1]:8000',
  path: 'a path',
  string: 'text',
  list: 'texts separated by commas',
} as const;

/** `a size such as 64KiB or 1.5GiB, 1MiB to 1TiB; 0 = off`. */
export function acceptedText(option: Option): string {
  if (option.type === 'enum') return option.values.join(', ');
  if (option.type === 'list' && option.env === undefined) return 'text, as often as needed';
  return joinRange(option, KIND_TEXT[option.type]);
}

/** The same for a page that explains sizes and durations once: `size, 1MiB to 1TiB; 0 = off`. */
export function acceptedShortText(option: Option): string {
  if (option.type === 'bytes') return joinRange(option, 'size');
  if (option.type === 'duration') return joinRange(option, 'duration');
  return acceptedText(option);
}

/** The short form for tables and help, where the placeholder already tells the kind: `1MiB to 1TiB; 0 = off`. */
export function rangeOnlyText(option: Option): string {
  return option.type === 'enum' ? '' : joinRange(option, '');
}

function joinRange(option: Exclude<Option, { type: 'enum' }>, kind: string): string {
  if (!('min' in option)) return kind;
  const unit = option.unit === undefined || kind === '' ? '' : ` of ${option.unit}`;
  const text = [kind + unit, rangeText(option)].filter((part) => part !== '').join(', ');
  if (option.zero === undefined) return text;
  return [text, `${option.zeroWord ?? '0'} = ${option.zero}`].filter((part) => part !== '').join('; ');
}

/** What stands behind the flag in help: `--rotate-bytes <size>`. Booleans have none. */
export function placeholderText(option: Option): string {
  switch (option.type) {
    case 'bytes':
      return '<size>';
    case 'duration':
      return '<time>';
    case 'integer':
    case 'number':
      return `<${(option.unit ?? 'number').replaceAll(' ', '-')}>`;
    case 'address':
      return '<host:port>';
    case 'path':
      return '<path>';
    case 'enum':
      return `<${option.values.join('|')}>`;
    case 'boolean':
      return '';
    default:
      return '<text>';
  }
}

/** The default as people read it; `none` for an empty one. */
export function defaultText(option: Option): string {
  return option.default === '' ? 'none' : option.default;
}
