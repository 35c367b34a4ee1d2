/**
 * A folder with its parents. Node's own `mkdir` with `recursive` tries for ever where a file system answers
 * ENOENT although the parent is there, as /proc does; a daemon pointed there would hang instead of saying so.
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { systemErrorCode } from './errors.ts';

/** Resolves when `path` is a folder, whoever made it; otherwise throws the system error. */
export async function makeFolders(path: string): Promise<void> {
  const absolute = resolve(path);
  try {
    await mkdir(absolute);
    return;
  } catch (error) {
    if (await isFolder(absolute)) return;
    if (systemErrorCode(error) !== 'ENOENT' || dirname(absolute) === absolute) throw error;
  }
  await makeFolders(dirname(absolute));
  try {
    await mkdir(absolute);
  } catch (error) {
    if (!(await isFolder(absolute))) throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
