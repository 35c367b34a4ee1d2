/**
 * The manifest: what is known for good about every closed segment, one JSON line per event, append-only.
 *
 * Invariants:
 * 1. Every record is the full truth about its segment; the last record of a segment number wins.
 * 2. A record is on the disk before anything is done that relies on it (unlinking, above all).
 * 3. Loading never fails on content: a torn last line is ignored, as a crash leaves it, and so is a line with
 *    zeroes in it; a line that is damaged otherwise is skipped and reported.
 *
 *   (open, no record) ──closed──▶ closed, none ──compressed──▶ closed, gzip | zstd
 *                                      └──────retention──────────────┴─────▶ deleted
 */
import type { Compression } from './segment-name.ts';
import { COMPRESSIONS, parseSegmentFile } from './segment-name.ts';

export interface ManifestRecord {
  /** The segment's number. */
  readonly segment: number;
  readonly state: 'closed' | 'deleted';
  /** File name in the journal folder, as of this record. */
  readonly file: string;
  readonly startedAtMs: number;
  readonly closedAtMs: number;
  readonly lines: number;
  /** Valid uncompressed bytes. What the uncompressed file holds beyond them is to be ignored. */
  readonly bytes: number;
  /** Size of the file as it lies. */
  readonly fileBytes: number;
  /** Null when the segment has no line that tells. */
  readonly firstReceivedAtMs: number | null;
  readonly lastReceivedAtMs: number | null;
  /** Of the file as it lies, lower-case hex. */
  readonly sha256: string;
  readonly compression: Compression;
  /** Its last bytes were acknowledged as written, but a sync of them failed. */
  readonly suspect: boolean;
  /** When `verify --repair` last took damage out of it, and how many of its lines are lost by that damage. */
  readonly repairedAtMs?: number;
  readonly lostLines?: number;
}

/** What the writer, or recovery, knows of a segment at its close. The archiver makes the record of it. */
export interface ClosedSegment {
  readonly number: number;
  /** File name in the journal folder; uncompressed. */
  readonly file: string;
  readonly startedAtMs: number;
  readonly closedAtMs: number;
  readonly lines: number;
  /** Valid bytes; the file may be longer. */
  readonly bytes: number;
  /** Size of the file as it was left. */
  readonly fileBytes: number;
  readonly firstReceivedAtMs: number | null;
  readonly lastReceivedAtMs: number | null;
  readonly suspect: boolean;
  /** Of the file; missing where whoever closed it cannot vouch for it, and then the archiver reads it. */
  readonly sha256?: string;
}

export interface Manifest {
  /** By segment number, in ascending order. */
  readonly records: ReadonlyMap<number, ManifestRecord>;
  /** Lines read, superseded ones included: much more than `records.size` means mostly garbage. */
  readonly lineCount: number;
  /** Line numbers, from 1, that could not be read and were skipped. */
  readonly damagedLines: readonly number[];
  /** Bytes up to and with the last newline; what follows is a torn line and is cut before appending. */
  readonly wholeBytes: number;
}

export const EMPTY_MANIFEST: Manifest = { records: new Map(), lineCount: 0, damagedLines: [], wholeBytes: 0 };

/** One manifest line with its newline. */
export function encodeManifestRecord(record: ManifestRecord): string {
  const line = {
    segment: record.segment,
    state: record.state,
    file: record.file,
    started_at: isoTime(record.startedAtMs),
    closed_at: isoTime(record.closedAtMs),
    lines: record.lines,
    bytes: record.bytes,
    // Only said when the file lies uncompressed and is longer than what is valid of it.
    ...(record.compression === 'none' && record.fileBytes !== record.bytes
      ? { valid_bytes: record.bytes }
      : {}),
    file_bytes: record.fileBytes,
    first_received_at: isoTime(record.firstReceivedAtMs),
    last_received_at: isoTime(record.lastReceivedAtMs),
    sha256: record.sha256,
    compression: record.compression,
    suspect: record.suspect,
    ...(record.repairedAtMs === undefined
      ? {}
      : { repaired_at: isoTime(record.repairedAtMs), lost_lines: record.lostLines ?? 0 }),
  };
  return `${JSON.stringify(line)}\n`;
}

/** Undefined when the line is not a record; keys that are not known are ignored. */
export function parseManifestRecord(line: string): ManifestRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const raw = value as Record<string, unknown>;
  const { segment, state, file, lines, bytes, file_bytes: fileBytes, sha256, compression } = raw;
  const startedAtMs = parseTime(raw.started_at);
  const closedAtMs = parseTime(raw.closed_at);
  const firstReceivedAtMs = parseTime(raw.first_received_at);
  const lastReceivedAtMs = parseTime(raw.last_received_at);
  if (!isCount(segment) || segment < 1 || !isCount(lines) || !isCount(bytes) || !isCount(fileBytes)) {
    return undefined;
  }
  if (state !== 'closed' && state !== 'deleted') return undefined;
  // The name must be that of this very segment, so that a damaged record can never point elsewhere.
  if (typeof file !== 'string' || parseSegmentFile(file)?.number !== segment) return undefined;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  if (!COMPRESSIONS.includes(compression as Compression)) return undefined;
  if (startedAtMs === undefined || startedAtMs === null || closedAtMs === undefined || closedAtMs === null) {
    return undefined;
  }
  if (firstReceivedAtMs === undefined || lastReceivedAtMs === undefined) return undefined;
  return {
    segment,
    state,
    file,
    startedAtMs,
    closedAtMs,
    lines,
    bytes,
    fileBytes,
    firstReceivedAtMs,
    lastReceivedAtMs,
    sha256,
    compression: compression as Compression,
    suspect: raw.suspect === true,
    ...parseRepair(raw),
  };
}

function parseRepair(raw: Record<string, unknown>): Pick<ManifestRecord, 'repairedAtMs' | 'lostLines'> {
  const repairedAtMs = parseTime(raw.repaired_at);
  if (repairedAtMs === undefined || repairedAtMs === null) return {};
  return { repairedAtMs, lostLines: isCount(raw.lost_lines) ? raw.lost_lines : 0 };
}

export function parseManifest(content: Uint8Array | string): Manifest {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const wholeBytes = bytes.lastIndexOf(0x0a) + 1;
  const latest = new Map<number, ManifestRecord>();
  const damagedLines: number[] = [];
  let lineCount = 0;
  for (const line of Buffer.from(bytes.buffer, bytes.byteOffset, wholeBytes).toString('utf8').split('\n')) {
    lineCount++;
    if (line === '') continue;
    const record = parseManifestRecord(line);
    if (record === undefined) {
      // Zeroes are what a power cut leaves of a write that was on its way: nobody was told of that record.
      if (!line.includes('\0')) damagedLines.push(lineCount);
    } else latest.set(record.segment, record);
  }
  lineCount--; // the empty piece after the last newline
  const records = new Map([...latest].sort(([a], [b]) => a - b));
  return { records, lineCount, damagedLines, wholeBytes };
}

/** The highest segment number the manifest knows, deleted ones included: numbers are never reused. */
export function highestSegment(manifest: Manifest): number {
  let highest = 0;
  for (const segment of manifest.records.keys()) highest = Math.max(highest, segment);
  return highest;
}

function isoTime(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}

/** Null stays null (not known); undefined means it is no time at all. */
function parseTime(value: unknown): number | null | undefined {
  if (value === null) return null;
  if (typeof value !== 'string') return undefined;
  const timeMs = Date.parse(value);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
