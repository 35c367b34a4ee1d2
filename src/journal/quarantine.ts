/**
 * Where repair keeps what it takes out of the journal: .journal/quarantine/, one file per piece and beside it a
 * small JSON that says what it was and why.
 *
 *   <file>.<offset>-<length>.<crc32>.cut        bytes cut out of a segment, a manifest or a sidecar
 *   <file>.<offset>-<length>.<crc32>.cut.json   {"file":...,"offset":...,"bytes":...,"lines":...,"why":...}
 *   <file>                                      a whole file that was moved here
 *
 * Invariants:
 * 1. The name says what is in it, so that a repair that was killed and runs again writes the same file again.
 * 2. A piece is on the disk before anything is taken away.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { FileSystem } from './file-system.ts';
import { writeFully } from './file-system.ts';
import { JOURNAL_FOLDER } from './segment-name.ts';

export const QUARANTINE_FOLDER = 'quarantine';

export interface CutPiece {
  readonly file: string;
  /** In the uncompressed bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly lines: number;
  readonly why: string;
}

export class Quarantine {
  readonly #fileSystem: FileSystem;
  readonly #folder: string;
  readonly #path: string;
  #isMade = false;

  constructor(fileSystem: FileSystem, folder: string) {
    this.#fileSystem = fileSystem;
    this.#folder = folder;
    this.#path = join(folder, JOURNAL_FOLDER, QUARANTINE_FOLDER);
  }

  /** Returns the name of the file, below the folder of the journal. */
  async keep(piece: CutPiece): Promise<string> {
    await this.#make();
    const name = cutName(piece);
    const { file, offset, lines, why } = piece;
    const about = { file, offset, bytes: piece.bytes.length, lines, why };
    await this.#write(name, piece.bytes);
    await this.#write(`${name}.json`, Buffer.from(`${JSON.stringify(about)}\n`));
    await this.#fileSystem.syncFolder(this.#path);
    return shownName(name);
  }

  /** Takes a whole file out of the journal. Returns its new name, below the folder of the journal. */
  async move(from: string, file: string): Promise<string> {
    await this.#make();
    let name = file;
    for (let twin = 2; (await this.#fileSystem.stat(join(this.#path, name))) !== undefined; twin++) {
      name = `${file}.${twin}`;
    }
    await this.#fileSystem.rename(from, join(this.#path, name));
    await this.#fileSystem.syncFolder(this.#path);
    await this.#fileSystem.syncFolder(this.#folder);
    return shownName(name);
  }

  async #make(): Promise<void> {
    if (this.#isMade) return;
    if ((await this.#fileSystem.stat(this.#path)) === undefined) {
      await this.#fileSystem.makeFolder(this.#path, false);
      await this.#fileSystem.syncFolder(join(this.#folder, JOURNAL_FOLDER));
    }
    this.#isMade = true;
  }

  async #write(name: string, bytes: Uint8Array): Promise<void> {
    const fd = await this.#fileSystem.open(join(this.#path, name), 'replace');
    try {
      await writeFully(this.#fileSystem, fd, bytes, 0);
      await this.#fileSystem.sync(fd);
    } finally {
      await this.#fileSystem.close(fd);
    }
  }
}

/** Below the folder of the journal; what `keep` would call it. */
export function cutPath(piece: CutPiece): string {
  return shownName(cutName(piece));
}

function cutName({ file, offset, bytes }: CutPiece): string {
  return `${file}.${offset}-${bytes.length}.${crc32(bytes).toString(16).padStart(8, '0')}.cut`;
}

function shownName(name: string): string {
  return `${JOURNAL_FOLDER}/${QUARANTINE_FOLDER}/${name}`;
}
