/** Carries a frozen set of files to where they shall go: another folder, or a tar stream. */
import { constants, copyFile, mkdir, open, readdir, truncate, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { errorMessage, SinkError, systemErrorCode } from '../../base/errors.ts';
import type { LinkedCopy } from '../../journal/linked-copy.ts';
import { JOURNAL_FOLDER } from '../../journal/segment-name.ts';
import { plainChunks } from '../../journal/segment-stream.ts';
import { Output } from '../output.ts';
import { tarEnd, tarHeader, tarPadding } from './tar.ts';

type OnProgress = (doneBytes: number, totalBytes: number) => void;

/** Refuses a target that holds anything: what lies there would mix with the copy. */
export async function prepareTarget(folder: string): Promise<void> {
  let names: string[];
  try {
    await mkdir(join(folder), { recursive: true });
    names = await readdir(folder);
  } catch (error) {
    throw new SinkError('USAGE', `--to ${folder}: ${errorMessage(error)}`, { cause: error });
  }
  if (names.length > 0) throw new SinkError('USAGE', `--to ${folder}: is not empty`);
}

/** False when it was interrupted. */
export async function copyToFolder(
  links: LinkedCopy,
  folder: string,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<boolean> {
  const totalBytes = sumOf(links);
  let doneBytes = 0;
  try {
    await mkdir(join(folder, JOURNAL_FOLDER), { recursive: true });
    // The manifest comes last: a copy that broke off says so by having none.
    const [manifest, ...others] = links.files;
    for (const file of [...others, manifest!]) {
      if (signal.aborted) return false;
      const target = join(folder, file.path);
      await mkdir(dirname(target), { recursive: true });
      await copyFile(
        join(links.folder, file.path),
        target,
        constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE,
      );
      await truncate(target, file.fileBytes); // the open segment went on growing
      await utimes(target, file.modifiedAtMs / 1000, file.modifiedAtMs / 1000);
      doneBytes += file.fileBytes;
      onProgress(doneBytes, totalBytes);
    }
  } catch (error) {
    throw new SinkError(
      'OUTPUT_FAILED',
      `the copy broke off (${systemErrorCode(error)}): ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
  return true;
}

/** False when it was interrupted or the reader went away. */
export async function copyToTar(
  links: LinkedCopy,
  stream: Writable,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<boolean> {
  const output = new Output(stream);
  const totalBytes = sumOf(links);
  let doneBytes = 0;
  let writtenBytes = 0;
  const write = async (content: Buffer): Promise<boolean> => {
    writtenBytes += content.length;
    return !signal.aborted && (await output.write(content));
  };
  const modifiedAtMs = links.files[0]?.modifiedAtMs ?? 0;
  if (!(await write(tarHeader({ path: `${JOURNAL_FOLDER}/`, bytes: 0, modifiedAtMs })))) return false;
  for (const file of links.files) {
    const header = tarHeader({ path: file.path, bytes: file.fileBytes, modifiedAtMs: file.modifiedAtMs });
    if (!(await write(header))) return false;
    const handle = await open(join(links.folder, file.path));
    try {
      let sentBytes = 0;
      for await (const chunk of plainChunks(handle, 0, file.fileBytes)) {
        if (!(await write(chunk))) return false;
        sentBytes += chunk.length;
        doneBytes += chunk.length;
        onProgress(doneBytes, totalBytes);
      }
      if (sentBytes !== file.fileBytes) {
        throw new SinkError('JOURNAL_UNREADABLE', `${file.path} became shorter while it was copied`);
      }
    } finally {
      await handle.close();
    }
    if (!(await write(tarPadding(file.fileBytes)))) return false;
  }
  return await write(tarEnd(writtenBytes));
}

function sumOf(links: LinkedCopy): number {
  return links.files.reduce((sum, file) => sum + file.fileBytes, 0);
}
