/**
 * Writes a file's bytes again, each with itself. After a sync that failed the kernel takes the pages for written: no later
 * sync brings them to the disk, and a power cut takes them. Once written again they are to be synced like any other.
 *
 * A power cut in between changes nothing, as every sector has the same content before and after.
 */
import { MiB } from '../base/byte-size.ts';
import type { FileSystem } from './file-system.ts';
import { readFully, writeFully } from './file-system.ts';

const CHUNK_BYTES = MiB;

/** The first `bytes` of it, and its end, where that had been cut off. Throws the file system's error. */
export async function writeAgain(fileSystem: FileSystem, fd: number, bytes: number): Promise<void> {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, bytes));
  for (let at = 0; at < bytes; at += chunk.length) {
    const wanted = chunk.subarray(0, Math.min(chunk.length, bytes - at));
    const length = await readFully(fileSystem, fd, wanted, at);
    await writeFully(fileSystem, fd, wanted.subarray(0, length), at);
  }
  const { sizeBytes } = await fileSystem.status(fd);
  await fileSystem.truncate(fd, sizeBytes);
}

/** And makes it durable, with its name in `folder`. */
export async function writeAgainDurably(
  fileSystem: FileSystem,
  file: { readonly path: string; readonly folder: string; readonly bytes: number },
): Promise<void> {
  const fd = await fileSystem.open(file.path, 'modify');
  try {
    await writeAgain(fileSystem, fd, file.bytes);
    await fileSystem.sync(fd);
  } finally {
    await fileSystem.close(fd);
  }
  await fileSystem.syncFolder(file.folder);
}
