/** Brings the sidecar of a segment that nobody writes to up to what its blocks should be. */
import { join } from 'node:path';
import type { Block } from './blocks.ts';
import { encodeBlock, parseBlocks } from './blocks.ts';
import type { FileSystem } from './file-system.ts';
import { readWholeFile, writeFully } from './file-system.ts';
import type { ClosedSegment } from './manifest.ts';
import type { SegmentFolders } from './open-segment.ts';
import { blocksFile, parseSegmentFile } from './segment-name.ts';
import { scanSegment } from './segment-scan.ts';

/** Writes exactly `blocks`, leaving alone what is right of `before`, and makes it durable. */
export async function writeSidecar(
  fileSystem: FileSystem,
  journalFolder: string,
  base: string,
  before: Uint8Array,
  blocks: readonly Block[],
): Promise<void> {
  const after = Buffer.from(blocks.map(encodeBlock).join(''));
  let same = 0;
  while (same < after.length && same < before.length && after[same] === before[same]) same++;
  const isRight = same === after.length && same === before.length;
  const fd = await fileSystem.open(join(journalFolder, blocksFile(base)), 'write');
  try {
    if (!isRight) {
      await fileSystem.truncate(fd, same);
      await writeFully(fileSystem, fd, after.subarray(same), same);
    }
    // Also when nothing was missing: what is right in the page cache need not be on the disk yet.
    await fileSystem.sync(fd);
  } finally {
    await fileSystem.close(fd);
  }
  await fileSystem.syncFolder(journalFolder);
}

/**
 * A fault may have kept the writer, or recovery, from writing all of a sidecar. The lines are still as they were
 * written, so this is the moment to make up for it. Blocks that are there stay, right or wrong.
 */
export async function completeSidecar(
  fileSystem: FileSystem,
  { folder, journalFolder }: SegmentFolders,
  segment: ClosedSegment,
): Promise<void> {
  const { base } = parseSegmentFile(segment.file)!;
  const before =
    (await readWholeFile(fileSystem, join(journalFolder, blocksFile(base)))) ?? new Uint8Array(0);
  const known = parseBlocks(before);
  if (known.coveredBytes === segment.bytes && known.end === 'complete') return;
  const fd = await fileSystem.open(join(folder, segment.file), 'read');
  try {
    const scan = await scanSegment(fileSystem, fd, segment.bytes, known);
    if (scan.readError !== undefined) throw scan.readError;
    await writeSidecar(fileSystem, journalFolder, base, before, scan.blocks);
  } finally {
    await fileSystem.close(fd);
  }
}
