/**
 * What a journal folder holds right now, for whoever reads it: one entry per segment, and of the files
 * that may lie there for it, the one to believe. Read-only; works on a copied folder and beside a daemon.
 *
 * Invariants:
 * 1. A segment appears at most once, whatever step of compression or retention was interrupted.
 * 2. The manifest decides; only a segment it does not know is judged by the file names.
 * 3. The folder is listed before the manifest is read: a segment closed in between then shows with its
 *    record, and never as neither open nor closed.
 *
 * A view ages. A file named in it may be gone when it is opened (compressed or deleted since): then a
 * fresh view says what became of it.
 */
import { readdir, readFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';
import type { Manifest, ManifestRecord } from './manifest.ts';
import { EMPTY_MANIFEST, parseManifest } from './manifest.ts';
import type { Compression } from './segment-name.ts';
import { JOURNAL_FOLDER, MANIFEST_FILE, parseSegmentFile, segmentsAmong } from './segment-name.ts';

export interface SegmentView {
  readonly number: number;
  readonly startedAtMs: number;
  readonly base: string;
  /** The file to believe, in the journal folder. */
  readonly file: string;
  readonly compression: Compression;
  /** Present: closed, and this is known of it. Absent: the open segment, or one whose record is missing or still to come. */
  readonly record: ManifestRecord | undefined;
}

export interface FolderView {
  readonly folder: string;
  /** Oldest first; deleted ones are left out. */
  readonly segments: readonly SegmentView[];
  readonly manifest: Manifest;
  /** False: there is no manifest file, as in a folder whose daemon never closed a segment. */
  readonly hasManifest: boolean;
  /** Every name in the folder itself. */
  readonly files: readonly string[];
  /** Every name in the `.journal` folder; empty when that is missing. */
  readonly journalFiles: readonly string[];
}

/** Throws SinkError FOLDER_MISSING or JOURNAL_UNREADABLE. */
export async function viewFolder(folder: string): Promise<FolderView> {
  let files: string[];
  try {
    files = await readdir(folder);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT') {
      throw new SinkError('FOLDER_MISSING', `there is no journal folder at ${shownFolder(folder)}; ${HINT}`, {
        cause: error,
      });
    }
    if (code === 'ENOTDIR') {
      throw new SinkError('FOLDER_MISSING', `${shownFolder(folder)} is a file; ${HINT}`, { cause: error });
    }
    throw new SinkError('JOURNAL_UNREADABLE', `cannot list ${folder}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  const journalFiles = await listIfPresent(join(folder, JOURNAL_FOLDER));
  const loaded = await loadManifest(folder);
  const manifest = loaded ?? EMPTY_MANIFEST;

  const segments: SegmentView[] = [];
  for (const record of manifest.records.values()) {
    if (record.state === 'deleted') continue;
    const { number, startedAtMs, base } = parseSegmentFile(record.file)!;
    segments.push({ number, startedAtMs, base, file: record.file, compression: record.compression, record });
  }
  let unlisted = 0;
  for (const name of segmentsAmong(files)) {
    // Sorted plain first: an unlisted compressed copy beside its plain file is a step not yet taken.
    if (manifest.records.has(name.number) || name.number === unlisted) continue;
    unlisted = name.number;
    segments.push({ ...name, record: undefined });
  }
  segments.sort((a, b) => a.number - b.number);
  return { folder, segments, manifest, hasManifest: loaded !== undefined, files, journalFiles };
}

/**
 * Throws SinkError FOLDER_MISSING when no daemon ever wrote here: a command that finds nothing wrong with
 * the wrong folder, such as a disk that is not mounted, would say that all is well.
 */
export function requireJournal({ folder, segments, files }: FolderView): void {
  if (segments.length > 0 || files.includes(JOURNAL_FOLDER)) return;
  throw new SinkError('FOLDER_MISSING', `there is no journal in ${shownFolder(folder)}; ${HINT}`);
}

const HINT = 'name the folder that the daemon has as FILE_PATH, or a copy of it';

/** A relative folder goes wrong when the command runs elsewhere than the daemon. */
function shownFolder(folder: string): string {
  return isAbsolute(folder) ? folder : `${folder} (${resolve(folder)})`;
}

/** Undefined when there is no manifest. */
export async function loadManifest(folder: string): Promise<Manifest | undefined> {
  try {
    return parseManifest(await readFile(join(folder, JOURNAL_FOLDER, MANIFEST_FILE)));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw new SinkError('JOURNAL_UNREADABLE', `cannot read the manifest: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

async function listIfPresent(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new SinkError('JOURNAL_UNREADABLE', `cannot list ${folder}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
