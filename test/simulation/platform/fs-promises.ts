/**
 * In place of node:fs/promises for those parts of the journal that read a folder as any program does: the
 * simulated disk, at once and without faults.
 */
import { dirname } from 'node:path';
import { SimulatedFile, SimulatedFolder, type SimulatedNode } from '../disk-files.ts';
import { world } from '../world.ts';

export * from 'node:fs/promises';

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file, '${path}'`), { code: 'ENOENT' });
}

function find(path: string): SimulatedNode {
  const node = world().disk.find(String(path));
  if (node === undefined) throw missing(path);
  return node;
}

function findFile(path: string): SimulatedFile {
  const node = find(path);
  if (!(node instanceof SimulatedFile))
    throw Object.assign(new Error(`EISDIR: '${path}'`), { code: 'EISDIR' });
  return node;
}

export async function readdir(path: string): Promise<string[]> {
  const node = find(path);
  if (node instanceof SimulatedFolder) return [...node.entries.keys()];
  throw Object.assign(new Error(`ENOTDIR: '${path}'`), { code: 'ENOTDIR' });
}

export async function readFile(path: string, encoding?: string): Promise<Buffer | string> {
  const content = Buffer.from(findFile(path).content());
  return encoding === undefined ? content : content.toString('utf8');
}

function statsOf(node: SimulatedNode): object {
  const isFolder = node instanceof SimulatedFolder;
  return {
    size: isFolder ? 0 : node.sizeBytes,
    mtimeMs: node.modifiedAtMs,
    ino: node.inode,
    dev: 1,
    isDirectory: () => isFolder,
    isFile: () => !isFolder,
  };
}

export async function stat(path: string): Promise<object> {
  return statsOf(find(path));
}

/** The part of a FileHandle that readers use. */
class Handle {
  readonly #file: SimulatedFile;
  constructor(file: SimulatedFile) {
    this.#file = file;
  }
  async read(buffer: Uint8Array, offset: number, length: number, position: number) {
    const bytesRead = Math.max(0, Math.min(length, this.#file.sizeBytes - position));
    buffer.set(this.#file.bytes.subarray(position, position + bytesRead), offset);
    return { bytesRead, buffer };
  }
  async stat(): Promise<object> {
    return statsOf(this.#file);
  }
  async close(): Promise<void> {}
}

export async function open(path: string): Promise<Handle> {
  return new Handle(findFile(path));
}

function notSimulated(what: string): () => Promise<never> {
  return async () => {
    throw new Error(`${what} is not part of the simulation (${dirname(import.meta.url)})`);
  };
}
export const copyFile = notSimulated('copyFile');
export const link = notSimulated('link');
export const mkdir = notSimulated('mkdir');
export const rm = notSimulated('rm');
export const writeFile = notSimulated('writeFile');
