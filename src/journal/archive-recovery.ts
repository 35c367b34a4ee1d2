/**
 * What an archiver that died left half done, and how each is finished. Every state below can be told from
 * the manifest and the names in the folder alone:
 *
 *   manifest says         in the folder          the crash came              so
 *   anything              a draft in .journal    while compressing, or while  remove the draft
 *                                                rewriting the manifest
 *   closed, none          plain + compressed     between rename and record   remove the compressed copy
 *   closed, gzip | zstd   plain + compressed     between record and unlink   remove the plain file
 *   deleted               any of its files       between record and unlink   remove them
 *   closed, none          compressed only        (its record was lost)       adopt the compressed file
 *   nothing               plain + compressed     (the manifest was lost)     remove the compressed copy
 *   nothing               compressed only        (the manifest was lost)     adopt the compressed file
 *
 * A plain file without a record is the writer's to recover, since it may have a torn tail.
 */
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseBlocks } from './blocks.ts';
import { DamageError } from './compress.ts';
import type { FileSystem } from './file-system.ts';
import type { ManifestRecord } from './manifest.ts';
import type { ManifestFile } from './manifest-file.ts';
import { MANIFEST_DRAFT } from './manifest-file.ts';
import type { SegmentName } from './segment-name.ts';
import {
  blocksFile,
  JOURNAL_FOLDER,
  parseBlocksFile,
  parseSegmentFile,
  segmentsAmong,
} from './segment-name.ts';
import { decompressedChunks, linesOf, wholeLines } from './segment-stream.ts';

const DRAFT_SUFFIX = '.tmp';

/** Removes what is superfluous; returns the compressed files that need a record of their own. */
export async function finishInterrupted(
  fileSystem: FileSystem,
  folder: string,
  manifest: ManifestFile,
  onFault: (file: string, error: unknown) => void,
): Promise<SegmentName[]> {
  const journalFolder = join(folder, JOURNAL_FOLDER);
  const remove = async (path: string, file: string): Promise<void> => {
    try {
      await fileSystem.unlink(path);
    } catch (error) {
      onFault(file, error);
    }
  };

  for (const file of await fileSystem.list(journalFolder)) {
    const sidecar = parseBlocksFile(file);
    const isOfDeleted = sidecar && manifest.records.get(sidecar.number)?.state === 'deleted';
    if (isDraft(file) || isOfDeleted) await remove(join(journalFolder, file), file);
  }

  const orphans: SegmentName[] = [];
  for (const names of byNumber(segmentsAmong(await fileSystem.list(folder)))) {
    const { keep, remove: superfluous, alien } = decide(manifest.records.get(names[0]!.number), names);
    for (const { file } of superfluous) await remove(join(folder, file), file);
    for (const { file } of alien) onFault(file, new Error('left alone, another file has its number'));
    if (keep !== undefined && keep.compression !== 'none' && !isRecorded(manifest, keep)) orphans.push(keep);
  }
  return orphans;
}

function isDraft(file: string): boolean {
  return (
    file === MANIFEST_DRAFT ||
    (file.endsWith(DRAFT_SUFFIX) && parseSegmentFile(file.slice(0, -DRAFT_SUFFIX.length)) !== undefined)
  );
}

function isRecorded(manifest: ManifestFile, name: SegmentName): boolean {
  return manifest.records.get(name.number)?.file === name.file;
}

interface Decision {
  readonly keep: SegmentName | undefined;
  readonly remove: readonly SegmentName[];
  /** Of the same number, but begun at another time: not a form of this segment, so never ours to remove. */
  readonly alien: readonly SegmentName[];
}

/** `names` are all of one number, plain first. */
function decide(record: ManifestRecord | undefined, names: readonly SegmentName[]): Decision {
  const base = record === undefined ? names[0]!.base : parseSegmentFile(record.file)!.base;
  const forms = names.filter((name) => name.base === base);
  const alien = names.filter((name) => name.base !== base);
  if (record?.state === 'deleted') return { keep: undefined, remove: forms, alien };
  const keep = forms.find((name) => name.file === record?.file) ?? forms[0];
  return { keep, remove: forms.filter((name) => name !== keep), alien };
}

function byNumber(names: readonly SegmentName[]): SegmentName[][] {
  const groups = new Map<number, SegmentName[]>();
  for (const name of names) {
    const group = groups.get(name.number);
    if (group === undefined) groups.set(name.number, [name]);
    else group.push(name);
  }
  return [...groups.values()];
}

/**
 * The record of a compressed segment, from its content. Throws when that cannot be decompressed, or is not
 * all that the sidecar speaks of: a truncated file must not get a record that makes it look whole.
 */
export async function describeCompressed(
  folder: string,
  name: SegmentName,
  signal: AbortSignal,
): Promise<ManifestRecord> {
  if (name.compression === 'none') throw new TypeError('a plain segment is described by recovery');
  const hash = createHash('sha256');
  let bytes = 0;
  let lines = 0;
  let firstLine: Buffer | undefined;
  let lastLine: Buffer | undefined;
  const handle = await open(join(folder, name.file));
  try {
    const { size, mtimeMs } = await handle.stat();
    const content = decompressedChunks(handle, name.compression, (raw) => hash.update(raw));
    for await (const chunk of wholeLines(content)) {
      signal.throwIfAborted();
      bytes += chunk.length;
      for (const line of linesOf(chunk)) {
        firstLine ??= Buffer.from(line);
        lastLine = line;
        lines++;
      }
      lastLine = lastLine && Buffer.from(lastLine); // a copy, so the chunk can go
    }
    // Not every Node.js reports a Zstandard stream that ends too early.
    const sidecar = await readFile(join(folder, JOURNAL_FOLDER, blocksFile(name.base))).catch(
      () => undefined,
    );
    const covered = sidecar === undefined ? undefined : parseBlocks(sidecar);
    if (covered !== undefined && covered.end !== 'damaged' && covered.coveredBytes !== bytes) {
      throw new DamageError(`holds ${bytes} bytes where its sidecar covers ${covered.coveredBytes}`);
    }
    return {
      segment: name.number,
      state: 'closed',
      file: name.file,
      startedAtMs: name.startedAtMs,
      closedAtMs: Math.round(mtimeMs),
      lines,
      bytes,
      fileBytes: size,
      firstReceivedAtMs: receivedAtMs(firstLine),
      lastReceivedAtMs: receivedAtMs(lastLine),
      sha256: hash.digest('hex'),
      compression: name.compression,
      suspect: false,
    };
  } finally {
    await handle.close();
  }
}

function receivedAtMs(line: Buffer | undefined): number | null {
  if (line === undefined) return null;
  try {
    const timeMs = Date.parse(String((JSON.parse(line.toString()) as { received_at?: unknown }).received_at));
    return Number.isNaN(timeMs) ? null : timeMs;
  } catch {
    return null;
  }
}

/** The sidecar of the segment that `file` names. */
export function sidecarPath(folder: string, file: string): string {
  return join(folder, JOURNAL_FOLDER, blocksFile(parseSegmentFile(file)!.base));
}
