/**
 * The names in a journal folder, made and read in this one place.
 *
 *   telemetry-20261120T100000Z-000001.jsonl       a segment: start (UTC second), number
 *   telemetry-20261120T100000Z-000001.jsonl.gz    the same, closed and compressed (or .jsonl.zst)
 *   .journal/telemetry-20261120T100000Z-000001.blocks      its sidecar
 *   .journal/telemetry-20261120T100000Z-000001.producers   who had written what when it was begun
 *
 * Invariant: the number alone is the identity and the order of a segment. The start is there for people
 * (and for `ls`); a wall clock that jumps back must not reorder segments.
 */

export const COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** Holds everything that is not readings: lock, manifest, sidecars, work in progress. */
export const JOURNAL_FOLDER = '.journal';
export const MANIFEST_FILE = 'manifest.jsonl';

const SEGMENT_SUFFIX: Readonly<Record<Compression, string>> = {
  none: '.jsonl',
  gzip: '.jsonl.gz',
  zstd: '.jsonl.zst',
};
const BLOCKS_SUFFIX = '.blocks';
const PRODUCERS_SUFFIX = '.producers';
const BASE_PATTERN = /^telemetry-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-(\d{6,15})$/;

export interface SegmentName {
  readonly number: number;
  readonly startedAtMs: number;
  readonly compression: Compression;
  /** The name without suffix; segment and sidecar share it. */
  readonly base: string;
  /** The whole file name. */
  readonly file: string;
}

/** `telemetry-20261120T100000Z-000001`. The start is cut to its second. */
export function formatSegmentBase(startedAtMs: number, number: number): string {
  const start = new Date(startedAtMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  return `telemetry-${start}Z-${String(number).padStart(6, '0')}`;
}

export function segmentFile(base: string, compression: Compression = 'none'): string {
  return base + SEGMENT_SUFFIX[compression];
}

/** The sidecar's name, inside JOURNAL_FOLDER. */
export function blocksFile(base: string): string {
  return base + BLOCKS_SUFFIX;
}

/** The checkpoint's name, inside JOURNAL_FOLDER. */
export function producersFile(base: string): string {
  return base + PRODUCERS_SUFFIX;
}

export function parseProducersFile(file: string): SegmentName | undefined {
  if (!file.endsWith(PRODUCERS_SUFFIX)) return undefined;
  const base = file.slice(0, -PRODUCERS_SUFFIX.length);
  return parseBase(base, 'none', segmentFile(base));
}

/** Undefined for whatever is not exactly a segment's name: such files are never ours to touch. */
export function parseSegmentFile(file: string): SegmentName | undefined {
  for (const compression of COMPRESSIONS) {
    const suffix = SEGMENT_SUFFIX[compression];
    if (file.endsWith(suffix)) return parseBase(file.slice(0, -suffix.length), compression, file);
  }
  return undefined;
}

export function parseBlocksFile(file: string): SegmentName | undefined {
  if (!file.endsWith(BLOCKS_SUFFIX)) return undefined;
  const base = file.slice(0, -BLOCKS_SUFFIX.length);
  return parseBase(base, 'none', segmentFile(base));
}

function parseBase(base: string, compression: Compression, file: string): SegmentName | undefined {
  const match = BASE_PATTERN.exec(base);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, digits] = match;
  const startedAtMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const number = Number(digits);
  // Formatting back refuses what only looks like a name: 31 February, number 0, needless leading zeroes.
  if (Number.isNaN(startedAtMs) || number < 1 || formatSegmentBase(startedAtMs, number) !== base) {
    return undefined;
  }
  return { number, startedAtMs, compression, base, file };
}

/** Oldest first; a plain file before its compressed copies. */
export function compareSegmentNames(a: SegmentName, b: SegmentName): number {
  return a.number - b.number || COMPRESSIONS.indexOf(a.compression) - COMPRESSIONS.indexOf(b.compression);
}

/** The segments among the names of a folder, oldest first. */
export function segmentsAmong(files: Iterable<string>): SegmentName[] {
  const segments: SegmentName[] = [];
  for (const file of files) {
    const name = parseSegmentFile(file);
    if (name !== undefined) segments.push(name);
  }
  return segments.sort(compareSegmentNames);
}
