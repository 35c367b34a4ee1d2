/**
 * A frozen view of all closed segments: hard links in a private folder, so that compression and retention
 * may unlink the originals while somebody copies at leisure. Closed files never change, so a link is as
 * good as a copy and costs nothing.
 *
 *   .journal/copy-<random>/lock.sqlite    held by the kernel for as long as the copier lives
 *   .journal/copy-<random>/folder/        a complete journal folder: segments, manifest, sidecars
 *
 * Invariants:
 * 1. The manifest inside names exactly the files inside, besides deleted segments, so `verify` passes on it.
 * 2. A copy folder whose lock is free has lost its owner, and anybody may remove it, lock in hand.
 */
import { randomBytes } from 'node:crypto';
import { constants, copyFile, link, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';
import { realFileSystem } from './file-system.ts';
import type { FolderLock } from './folder-lock.ts';
import { lockFolder } from './folder-lock.ts';
import { loadManifest, viewFolder } from './folder-view.ts';
import type { ManifestRecord } from './manifest.ts';
import { encodeManifestRecord } from './manifest.ts';
import { blocksFile, JOURNAL_FOLDER, MANIFEST_FILE, parseSegmentFile } from './segment-name.ts';

const COPY_PATTERN = /^copy-[0-9a-f]{16}$/;
/** File systems without hard links (some network and FUSE ones) get real copies. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'EACCES']);
const ATTEMPTS = 5;

export interface LinkedFile {
  /** Relative to the folder, with forward slashes. */
  readonly path: string;
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
  /** Removes the links. */
  release(): Promise<void>;
}

/** Throws SinkError FOLDER_MISSING, FOLDER_NOT_WRITABLE or JOURNAL_UNREADABLE. */
export async function linkClosedSegments(folder: string): Promise<LinkedCopy> {
  await viewFolder(folder); // tells a missing folder from one that cannot be written
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
    const segments = await linkAll(folder, target);
    const files: LinkedFile[] = [];
    const note = async (path: string): Promise<void> => {
      const status = await stat(join(target, path));
      files.push({ path, fileBytes: status.size, modifiedAtMs: status.mtimeMs });
    };
    await note(`${JOURNAL_FOLDER}/${MANIFEST_FILE}`);
    const sidecars = new Set(await readdir(join(target, JOURNAL_FOLDER)));
    for (const { file } of segments) {
      const sidecar = blocksFile(parseSegmentFile(file)!.base);
      if (sidecars.has(sidecar)) await note(`${JOURNAL_FOLDER}/${sidecar}`);
      await note(file);
    }
    return { copyFolder, folder: target, files, segments, release };
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

/** Links every closed segment and writes the manifest that names them. */
async function linkAll(folder: string, target: string): Promise<ManifestRecord[]> {
  const taken = new Map<number, ManifestRecord>();
  // A file that is gone when we come to link it was compressed or deleted meanwhile: the manifest, whose
  // record is written first, says which. The first look decides which segments belong to the copy, and
  // each of those can change twice at most, so this ends.
  let highest: number | undefined;
  for (let attempt = 0; ; attempt++) {
    const records = [...((await loadManifest(folder))?.records.values() ?? [])];
    highest ??= records.at(-1)?.segment ?? 0;
    let missing: ManifestRecord | undefined;
    for (const record of records) {
      if (record.segment > highest) break;
      // What is linked stays linked: compressed or deleted since, it is still whole and true.
      if (taken.get(record.segment)?.state === 'closed') continue;
      if (record.state === 'deleted' || (await linkSegment(folder, target, record))) {
        taken.set(record.segment, record);
      } else {
        missing ??= record;
      }
    }
    if (missing === undefined) break;
    if (attempt === ATTEMPTS) {
      throw new SinkError('JOURNAL_UNREADABLE', `${missing.file} is in the manifest but not in ${folder}`);
    }
  }
  const records = [...taken.values()].sort((a, b) => a.segment - b.segment);
  const content = records.map(encodeManifestRecord).join('');
  await writeFile(join(target, JOURNAL_FOLDER, MANIFEST_FILE), content);
  return records.filter((record) => record.state === 'closed');
}

/** False when the segment's file is not there (any more). */
async function linkSegment(folder: string, target: string, record: ManifestRecord): Promise<boolean> {
  const sidecar = join(JOURNAL_FOLDER, blocksFile(parseSegmentFile(record.file)!.base));
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

function notWritable(folder: string, error: unknown): SinkError {
  return new SinkError(
    'FOLDER_NOT_WRITABLE',
    `${folder}: cannot make links for the copy: ${errorMessage(error)}; a folder that no daemon writes to can be copied as it is`,
    { cause: error },
  );
}
