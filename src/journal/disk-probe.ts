/**
 * Asks the disk, not our memory of it, whether the journal can be written: after a fault this decides
 * that service resumes, also when no request comes to try it.
 */
import { join } from 'node:path';
import { KiB } from '../base/byte-size.ts';
import type { FileSystem } from './file-system.ts';
import { writeFully } from './file-system.ts';

const PROBE_FILE = 'probe';
/** More than file systems keep inside an inode or a last partly filled block, so that space is really allocated. */
const PROBE_BYTES = 64 * KiB;

/** Writes, syncs and removes a file; throws what stood in the way. */
export async function probeDisk(fileSystem: FileSystem, journalFolder: string): Promise<void> {
  const path = join(journalFolder, PROBE_FILE);
  const fd = await fileSystem.open(path, 'replace');
  try {
    // Not zeroes: some file systems do not store those.
    await writeFully(fileSystem, fd, new Uint8Array(PROBE_BYTES).fill(0x70), 0);
    await fileSystem.sync(fd);
  } finally {
    try {
      await fileSystem.close(fd);
    } finally {
      await fileSystem.unlink(path);
    }
  }
}
