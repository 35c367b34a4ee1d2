/** What the names in a journal folder and its manifest say about each other, without reading any segment. */
import type { FolderView, SegmentView } from './folder-view.ts';
import type { ManifestRecord } from './manifest.ts';
import { JOURNAL_FOLDER, MANIFEST_FILE, parseSegmentFile, segmentsAmong } from './segment-name.ts';
import type { Fault, FaultKind } from './verify-segment.ts';

/** Names a file system or a platform puts into a volume by itself. */
const FOREIGN_NAMES = new Set([JOURNAL_FOLDER, 'lost+found', '.snapshot', '.DS_Store']);
/** Written by a daemon that owns the folder and removed when it ends well: without it nothing is in motion. */
const OWNER_FILE = 'owner.json';

/** The segment that may still be taking lines: the newest, when it lies plain and has no record. */
export function openSegmentOf(view: FolderView): SegmentView | undefined {
  const newest = view.segments.at(-1);
  return newest?.record === undefined && newest?.compression === 'none' ? newest : undefined;
}

/** Whether a daemon may be at work here, or was killed while it was. */
export function isInMotion(view: FolderView): boolean {
  return view.journalFiles.includes(OWNER_FILE);
}

/** Faults that a running daemon may be about to resolve by itself. */
export function passingFaults(view: FolderView): Fault[] {
  const faults: Fault[] = [];
  const open = openSegmentOf(view);
  for (const segment of view.segments) {
    if (segment.record !== undefined || segment === open) continue;
    faults.push(fault('unlisted', segment.file, segment.number, 'not in the manifest'));
  }
  const believed = new Set(view.segments.map((segment) => segment.file));
  for (const { file, number } of segmentsAmong(view.files)) {
    if (believed.has(file)) continue;
    const record = view.manifest.records.get(number);
    faults.push(fault('superfluous', file, number, whySuperfluous(record)));
  }
  return faults;
}

function whySuperfluous(record: ManifestRecord | undefined): string {
  if (record === undefined) return 'a second file of this segment';
  return record.state === 'deleted'
    ? 'deleted according to the manifest, but still there'
    : `a second file of this segment; the manifest names ${record.file}`;
}

/** Faults of the manifest itself. */
export function manifestFaults(view: FolderView): Fault[] {
  const faults = view.manifest.damagedLines.map((line) =>
    fault('manifest', `${JOURNAL_FOLDER}/${MANIFEST_FILE}`, null, `line ${line} cannot be read`),
  );
  // Numbers below the first one known were deleted and forgotten by a compaction.
  const known = new Set([...view.manifest.records.keys(), ...view.segments.map(({ number }) => number)]);
  const numbers = [...known].sort((a, b) => a - b);
  if (view.manifest.damagedLines.length > 0) {
    for (const [from, to] of gaps(numbers)) faults.push(fault('gap', '', from, describeGap(from, to)));
  }
  return faults;
}

/** What deserves a look and is no fault. */
export function notices(view: FolderView): string[] {
  const found: string[] = [];
  for (const file of view.files) {
    if (parseSegmentFile(file) === undefined && !FOREIGN_NAMES.has(file)) {
      found.push(`${file}: not a file of the journal`);
    }
  }
  for (const { record } of view.segments) {
    if (record?.suspect)
      found.push(`${record.file}: suspect, a sync failed when it was written, or it was found damaged`);
  }
  for (const { repairedAtMs, lostLines, file, state } of view.manifest.records.values()) {
    if (repairedAtMs === undefined) continue;
    const what = state === 'deleted' ? 'lost' : 'repaired';
    found.push(
      `${file}: ${what}, found at ${new Date(repairedAtMs).toISOString()}: ${lostLines} lines are gone`,
    );
  }
  if (view.manifest.damagedLines.length === 0) {
    // With a sound manifest a missing number never became a closed segment: the disk was full at its first
    // batch, or somebody took the open file away.
    const numbers = new Set([...view.manifest.records.keys(), ...view.segments.map(({ number }) => number)]);
    for (const [from, to] of gaps([...numbers].sort((a, b) => a - b))) found.push(describeGap(from, to));
  }
  return found;
}

function* gaps(numbers: readonly number[]): Generator<[from: number, to: number]> {
  for (let index = 1; index < numbers.length; index++) {
    const before = numbers[index - 1]!;
    if (numbers[index]! > before + 1) yield [before + 1, numbers[index]! - 1];
  }
}

function describeGap(from: number, to: number): string {
  const which = from === to ? `segment ${from} is` : `segments ${from} to ${to} are`;
  return `${which} neither here nor recorded as deleted`;
}

function fault(kind: FaultKind, file: string, segment: number | null, message: string): Fault {
  return { kind, file, segment, offset: null, fileOffset: null, message };
}
