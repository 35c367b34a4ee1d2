/**
 * A frozen view of all closed segments: hard links in a private folder, so that compression and retention
 * may unlink the originals while somebody copies at leisure. Closed files never change, so a link is as
 * good as a copy and costs nothing. The open segment can be had, too: it only grows, and what its sidecar
 * covers never changes, so a link and a length are a snapshot of it.
 *
 *   .journal/copy-<random>/lock.sqlite    held by the kernel for as long as the copier lives
 *   .journal/copy-<random>/folder/        a complete journal folder: segments, manifest, sidecars
 *
 * Invariants:
 * 1. The manifest inside names exactly the files inside, besides deleted segments, so `verify` passes on it.
 * 2. Of the open segment, no file's length goes beyond what its sidecar said when it was linked.
 * 3. What retention deletes meanwhile is missing from the oldest end only, never from the middle.
 * 4. A copy folder whose lock is free has lost its owner, and anybody may remove it, lock in hand.
 */
import { randomBytes } from 'node:crypto';
import { constants, copyFile, link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';
import { parseBlocks } from './blocks.ts';
import { realFileSystem } from './file-system.ts';
import type { FolderLock } from './folder-lock.ts';
import { lockFolder } from './folder-lock.ts';
import { loadManifest, requireJournal, viewFolder } from './folder-view.ts';
import type { ManifestRecord } from './manifest.ts';
import { encodeManifestRecord } from './manifest.ts';
import { blocksFile, JOURNAL_FOLDER, MANIFEST_FILE, parseSegmentFile } from './segment-name.ts';

const COPY_PATTERN = /^copy-[0-9a-f]{16}$/;
/** File systems without hard links (some network and FUSE ones) get real copies. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'EACCES']);
const ATTEMPTS = 5;
/** How long a segment that was just closed may take until its record is in the manifest. */
const RECORD_WAIT_MS = 10_000;
const RECORD_LOOK_MS = 50;

export interface LinkedFile {
  /** Relative to the folder, with forward slashes. */
  readonly path: string;
  /** How much of it belongs to the copy; the open segment and its sidecar may be longer by now. */
  readonly fileBytes: number;
  readonly modifiedAtMs: number;
}

export interface LinkedCopy {
  /** What `release` removes; whoever cannot wait for that may remove it himself. */
  readonly copyFolder: string;
  /** A journal folder of its own. */
  readonly folder: string;
  /** Manifest first, then each segment after its sidecar. */
  readonly files: readonly LinkedFile[];
  readonly segments: readonly ManifestRecord[];
  /** The open segment, as far as it belongs to the copy: whole lines, each under a checksum. */
  readonly open: OpenPart | undefined;
  /** The newest file that the copy leaves out because it is not closed and recorded yet. */
  readonly leftOut: string | undefined;
  /** Removes the links. */
  release(): Promise<void>;
}

export interface OpenPart {
  readonly file: string;
  readonly bytes: number;
  readonly lines: number;
  readonly sidecarBytes: number;
}

/**
 * Links every closed segment, and with `withOpen` what is under checksums of the open one.
 * Throws SinkError FOLDER_MISSING, FOLDER_NOT_WRITABLE or JOURNAL_UNREADABLE.
 */
export async function linkSegments(folder: string, { withOpen = false } = {}): Promise<LinkedCopy> {
  const view = await viewFolder(folder); // tells a missing folder from one that cannot be written
  requireJournal(view);
  const newest = view.segments.at(-1);
  const journalFolder = join(folder, JOURNAL_FOLDER);
  await removeAbandonedCopies(folder);
  const { copyFolder, lock } = await beginCopy(folder, journalFolder);
  const release = async (): Promise<void> => {
    await rm(copyFolder, { recursive: true, force: true });
    await lock.release();
  };
  try {
    const target = join(copyFolder, 'folder');
    await mkdir(join(target, JOURNAL_FOLDER), { recursive: true });
    const { open, highest } = withOpen
      ? await linkOpen(folder, target)
      : { open: undefined, highest: undefined };
    const segments = await linkAll(folder, target, highest);
    const files: LinkedFile[] = [];
    const note = async (path: string, bytes?: number): Promise<void> => {
      const status = await stat(join(target, path));
      files.push({ path, fileBytes: bytes ?? status.size, modifiedAtMs: status.mtimeMs });
    };
    await note(`${JOURNAL_FOLDER}/${MANIFEST_FILE}`);
    const sidecars = new Set(await readdir(join(target, JOURNAL_FOLDER)));
    for (const { file } of segments) {
      const sidecar = blocksFile(parseSegmentFile(file)!.base);
      if (sidecars.has(sidecar)) await note(sidecarOf(file));
      await note(file);
    }
    if (open !== undefined) {
      await note(sidecarOf(open.file), open.sidecarBytes);
      await note(open.file, open.bytes);
    }
    const leftOut = newest?.record === undefined && open === undefined ? newest?.file : undefined;
    return { copyFolder, folder: target, files, segments, open, leftOut, release };
  } catch (error) {
    await release();
    if (error instanceof SinkError) throw error;
    throw notWritable(folder, error);
  }
}

/** Removes the link folders of copiers that died. Harmless beside living ones. */
export async function removeAbandonedCopies(folder: string): Promise<void> {
  const journalFolder = join(folder, JOURNAL_FOLDER);
  const names = await readdir(journalFolder).catch((error): string[] => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) {
    if (!COPY_PATTERN.test(name)) continue;
    const copyFolder = join(journalFolder, name);
    let lock: FolderLock;
    try {
      lock = await lockFolder(realFileSystem, folder, copyFolder);
    } catch {
      continue; // it is alive, or somebody else is removing it
    }
    await rm(copyFolder, { recursive: true, force: true });
    await lock.release();
  }
}

async function beginCopy(
  folder: string,
  journalFolder: string,
): Promise<{ copyFolder: string; lock: FolderLock }> {
  let fault: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const copyFolder = join(journalFolder, `copy-${randomBytes(8).toString('hex')}`);
    try {
      await mkdir(copyFolder);
    } catch (error) {
      throw notWritable(folder, error);
    }
    // Between the two, somebody who clears away may take the folder for an abandoned one: then once more.
    try {
      const lock = await lockFolder(realFileSystem, folder, copyFolder);
      if (lock.isHeld()) return { copyFolder, lock };
      await lock.release();
    } catch (error) {
      fault = error;
    }
    await rm(copyFolder, { recursive: true, force: true });
  }
  throw notWritable(folder, fault);
}

/**
 * Links the open segment, and says which closed one is the last before it, so that the copy has no hole.
 * Without an open part when there is none, or nothing of it is under a checksum, or segments before it
 * stay without a record.
 */
async function linkOpen(
  folder: string,
  target: string,
): Promise<{ open: OpenPart | undefined; highest: number | undefined }> {
  for (let waitedMs = 0; waitedMs < RECORD_WAIT_MS; waitedMs += RECORD_LOOK_MS) {
    const view = await viewFolder(folder);
    const highest = [...view.manifest.records.keys()].reduce((a, b) => Math.max(a, b), 0);
    const [open, ...others] = view.segments.filter(({ record }) => record === undefined);
    if (open === undefined) return { open: undefined, highest };
    if (others.length === 0 && open.number > highest && open.compression === 'none') {
      const part = await linkOpenPart(folder, target, open.file);
      if (part !== 'gone') return { open: part, highest };
    }
    // A segment was closed just now: soon the manifest has its record.
    await delay(RECORD_LOOK_MS);
  }
  return { open: undefined, highest: undefined };
}

/** Undefined when no block of it is complete; gone when it was compressed or deleted meanwhile. */
async function linkOpenPart(
  folder: string,
  target: string,
  file: string,
): Promise<OpenPart | undefined | 'gone'> {
  const sidecar = sidecarOf(file);
  // The sidecar first: whatever it covers was in the data file before.
  if (!(await linkOrCopy(join(folder, sidecar), join(target, sidecar)))) return undefined;
  const { coveredBytes, coveredLines, sidecarBytes } = parseBlocks(await readFile(join(target, sidecar)));
  if (coveredBytes === 0) return undefined;
  if (!(await linkOrCopy(join(folder, file), join(target, file)))) return 'gone';
  return { file, bytes: coveredBytes, lines: coveredLines, sidecarBytes };
}

/** Links every closed segment up to `last` and writes the manifest that names them. */
async function linkAll(folder: string, target: string, last: number | undefined): Promise<ManifestRecord[]> {
  const taken = new Map<number, ManifestRecord>();
  let highest = last;
  // A file that is gone when we come to link it was compressed or deleted meanwhile: the manifest, whose
  // record is written first, says which. The first look decides which segments belong to the copy.
  let missing: ManifestRecord | undefined;
  for (let attempt = 0; attempt <= ATTEMPTS; ) {
    const records = [...((await loadManifest(folder))?.records.values() ?? [])];
    highest ??= records.at(-1)?.segment ?? 0;
    const missed = missing?.file;
    missing = await linkDown(folder, target, records, highest, taken);
    if (missing === undefined) {
      const copied = [...taken.values()].sort((a, b) => a.segment - b.segment);
      const content = copied.map(encodeManifestRecord).join('');
      await writeFile(join(target, JOURNAL_FOLDER, MANIFEST_FILE), content);
      return copied.filter((record) => record.state === 'closed');
    }
    attempt = missing.file === missed ? attempt + 1 : 0;
  }
  throw new SinkError('JOURNAL_UNREADABLE', `${missing!.file} is in the manifest but not in ${folder}`);
}

/**
 * Links from the newest down to the first whose file is gone, which it returns. Retention deletes the oldest
 * first: so by the time one is found deleted, so are all that are still to come, and the copy has no hole.
 */
async function linkDown(
  folder: string,
  target: string,
  records: readonly ManifestRecord[],
  highest: number,
  taken: Map<number, ManifestRecord>,
): Promise<ManifestRecord | undefined> {
  for (const record of records.toReversed()) {
    // What is linked stays linked: compressed or deleted since, it is still whole and true.
    if (record.segment > highest || taken.get(record.segment)?.state === 'closed') continue;
    if (record.state !== 'deleted' && !(await linkSegment(folder, target, record))) return record;
    taken.set(record.segment, record);
  }
  return undefined;
}

/** False when the segment's file is not there (any more). */
async function linkSegment(folder: string, target: string, record: ManifestRecord): Promise<boolean> {
  const sidecar = sidecarOf(record.file);
  // The sidecar first: retention removes it after the segment, so with the segment it was there, too.
  await linkOrCopy(join(folder, sidecar), join(target, sidecar));
  return linkOrCopy(join(folder, record.file), join(target, record.file));
}

async function linkOrCopy(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST') return true; // a sidecar of an earlier attempt
    if (code === 'ENOENT') return false;
    if (!NO_LINKS.has(code)) throw error;
  }
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function sidecarOf(file: string): string {
  return `${JOURNAL_FOLDER}/${blocksFile(parseSegmentFile(file)!.base)}`;
}

function notWritable(folder: string, error: unknown): SinkError {
  return new SinkError(
    'FOLDER_NOT_WRITABLE',
    `${folder}: cannot make links for the copy: ${errorMessage(error)}; a folder that no daemon writes to can be copied as it is`,
    { cause: error },
  );
}
