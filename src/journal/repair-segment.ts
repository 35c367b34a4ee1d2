/** Repairs one segment: finds its file among those of its number, judges it, and carries out what follows. See repair.ts. */
import { join } from 'node:path';
import type { BlockList } from './blocks.ts';
import { parseBlocks } from './blocks.ts';
import type { FileSystem } from './file-system.ts';
import { readWholeFile } from './file-system.ts';
import type { ManifestRecord } from './manifest.ts';
import type { ManifestFile } from './manifest-file.ts';
import type { Quarantine } from './quarantine.ts';
import type { ContentOptions, RepairedContent } from './repair-content.ts';
import { draftPath, repairContent } from './repair-content.ts';
import type { RepairAction, SegmentRepair } from './repair-report.ts';
import type { SegmentName } from './segment-name.ts';
import { blocksFile, JOURNAL_FOLDER, parseSegmentFile, segmentFile } from './segment-name.ts';
import { writeSidecar } from './sidecar-file.ts';
import type { Fault } from './verify.ts';

export interface SegmentRepairParts {
  readonly fileSystem: FileSystem;
  readonly folder: string;
  readonly nowMs: number;
  /** Every file of its number that is in the folder. */
  readonly names: readonly SegmentName[];
  readonly record: ManifestRecord | undefined;
  readonly faults: readonly Fault[];
  /** Both undefined in a dry run. */
  readonly quarantine: Quarantine | undefined;
  readonly manifest: ManifestFile | undefined;
}

interface Judged {
  readonly name: SegmentName;
  readonly sidecarBytes: Uint8Array;
  readonly sidecar: BlockList;
  readonly isVouched: boolean;
  readonly content: RepairedContent;
}

export class SegmentRepairer {
  readonly #parts: SegmentRepairParts;
  readonly #journalFolder: string;
  readonly #actions: RepairAction[] = [];
  readonly #movedTo: string[] = [];

  constructor(parts: SegmentRepairParts) {
    this.#parts = parts;
    this.#journalFolder = join(parts.folder, JOURNAL_FOLDER);
  }

  async run(): Promise<SegmentRepair> {
    const { names, record } = this.#parts;
    if (record?.state === 'deleted') return this.#finishDeletion(record);
    const judged = await this.#best();
    if (judged === undefined) return this.#giveUp(undefined);
    const { content, name } = judged;
    if (content.sourceBytes === 0 && record === undefined) return this.#removeEmpty(judged);
    if (content.lines === 0) return this.#giveUp(judged);
    for (const other of names) {
      if (other.file === name.file) continue;
      if (!this.#actions.includes('removed')) this.#actions.push('removed');
      await this.#moveAway(other.file);
    }
    return isSound(content) ? this.#mend(judged) : this.#rewrite(judged);
  }

  /** The form of the segment that has most of it; the recorded file first, a plain one before a compressed one. */
  async #best(): Promise<Judged | undefined> {
    const { names, record } = this.#parts;
    const recorded = names.filter(({ file }) => file === record?.file);
    let best: Judged | undefined;
    for (const name of [...recorded, ...names.filter((other) => !recorded.includes(other))]) {
      const judged = await this.#judge(name);
      if (best === undefined || judged.content.lines > best.content.lines) best = judged;
      if (isSound(best.content) && best.content.lines >= (record?.lines ?? 0)) break;
    }
    return best;
  }

  async #judge(name: SegmentName): Promise<Judged> {
    const { fileSystem, folder, record } = this.#parts;
    const path = join(this.#journalFolder, blocksFile(name.base));
    const sidecarBytes = (await readWholeFile(fileSystem, path)) ?? new Uint8Array(0);
    const sidecar = parseBlocks(sidecarBytes);
    const look = (changes: Partial<ContentOptions>): Promise<RepairedContent> =>
      repairContent(fileSystem, folder, {
        name,
        sidecar,
        isVouched: false,
        validBytes: this.#validBytes(name, sidecar),
        writeTo: undefined,
        ...changes,
      });
    const content = await look({});
    const isVouched = record?.file === name.file && content.sourceSha256 === record.sha256;
    if (!isVouched) return { name, sidecarBytes, sidecar, isVouched, content };
    // The file is the recorded one, so where the sidecar says otherwise the sidecar is wrong.
    const none = parseBlocks('');
    const isSidecarWrong = content.cuts.length > 0 || sidecar.coveredBytes > record.bytes;
    const believed = isSidecarWrong ? none : sidecar;
    const validBytes = this.#validBytes(name, believed);
    const vouched = await look({ isVouched, sidecar: believed, validBytes });
    return { name, sidecarBytes, sidecar: believed, isVouched, content: vouched };
  }

  /** Where the valid part of a plain file ends when it was recorded as longer than that. */
  #validBytes(name: SegmentName, sidecar: BlockList): number | undefined {
    const { record } = this.#parts;
    if (record?.file !== name.file || name.compression !== 'none') return undefined;
    return record.fileBytes > record.bytes && sidecar.coveredBytes <= record.bytes ? record.bytes : undefined;
  }

  /** The lines are all there: only what is said about them is wrong. */
  async #mend(judged: Judged): Promise<SegmentRepair> {
    const { fileSystem, folder, record, manifest, nowMs } = this.#parts;
    const { name, content, isVouched, sidecarBytes } = judged;
    const isSuspect = this.#isSuspect(judged);
    const fresh: ManifestRecord = {
      ...this.#freshRecord(judged),
      file: name.file,
      fileBytes: content.sourceBytes,
      sha256: content.sourceSha256,
      compression: name.compression,
      suspect: isSuspect,
    };
    const lost = this.#lost(content);
    const isLoss = lost.lines > 0 || lost.bytes > 0;
    const isSidecarRight =
      judged.sidecar.end === 'complete' &&
      judged.sidecar.coveredBytes === content.bytes &&
      judged.sidecar.coveredLines === content.lines;
    if (!isSidecarRight) {
      this.#actions.push('sidecar');
      if (manifest !== undefined) {
        await this.#keepSidecar(name, sidecarBytes);
        await writeSidecar(fileSystem, this.#journalFolder, name.base, sidecarBytes, content.blocks);
      }
    }
    const isRecordRight =
      isVouched &&
      record?.bytes === content.bytes &&
      record.lines === content.lines &&
      record.fileBytes === content.sourceBytes;
    if (!isRecordRight) {
      this.#actions.push('recorded');
      if (manifest !== undefined) {
        const fd = await fileSystem.open(join(folder, name.file), 'modify');
        try {
          // What survived in the page cache only is about to be vouched for.
          await fileSystem.sync(fd);
        } finally {
          await fileSystem.close(fd);
        }
        await fileSystem.syncFolder(folder);
        await manifest.append([isLoss ? { ...fresh, repairedAtMs: nowMs, lostLines: lost.lines } : fresh]);
      }
    }
    return this.#summary(name.file, content, isSuspect);
  }

  /** Writes what is good of it to a new plain file in its place. */
  async #rewrite(judged: Judged): Promise<SegmentRepair> {
    const { fileSystem, folder, record, manifest, quarantine, nowMs } = this.#parts;
    const { name, sidecar, sidecarBytes, isVouched } = judged;
    const file = segmentFile(name.base);
    this.#actions.push('rewritten');
    const isSuspect = this.#isSuspect(judged);
    if (quarantine === undefined || manifest === undefined)
      return this.#summary(file, judged.content, isSuspect);
    const content = await repairContent(fileSystem, folder, {
      name,
      sidecar,
      isVouched,
      validBytes: this.#validBytes(name, sidecar),
      writeTo: quarantine,
    });
    await this.#keepSidecar(name, sidecarBytes);
    const isAgain = record?.sha256 === content.sha256 && record.repairedAtMs !== undefined;
    if (!isAgain) {
      const fresh: ManifestRecord = {
        ...this.#freshRecord({ ...judged, content }),
        file,
        fileBytes: content.bytes,
        sha256: content.sha256,
        compression: 'none',
        suspect: isSuspect,
        repairedAtMs: nowMs,
        lostLines: (record?.lostLines ?? 0) + this.#lost(content).lines,
      };
      await manifest.append([fresh]);
    }
    await fileSystem.rename(draftPath(folder, name), join(folder, file));
    await fileSystem.syncFolder(folder);
    await writeSidecar(fileSystem, this.#journalFolder, name.base, sidecarBytes, content.blocks);
    if (name.file !== file) await this.#moveAway(name.file);
    return this.#summary(file, content, isSuspect);
  }

  /** Not one line of it is left. The file goes first: the record that says so must not let anybody unlink it. */
  async #giveUp(judged: Judged | undefined): Promise<SegmentRepair> {
    const { names, record, manifest, nowMs } = this.#parts;
    this.#actions.push('lost');
    const base = judged?.name.base ?? parseSegmentFile(record!.file)!.base;
    for (const { file } of names) await this.#moveAway(file);
    await this.#moveSidecar(base);
    const lost = this.#lost(judged?.content);
    if (manifest !== undefined) {
      const known = record ?? {
        ...this.#freshRecord(judged!),
        file: judged!.name.file,
        compression: judged!.name.compression,
      };
      const gone = {
        fileBytes: judged?.content.sourceBytes ?? record!.fileBytes,
        sha256: judged?.content.sourceSha256 ?? record!.sha256,
      };
      await manifest.append([
        { ...gone, ...known, state: 'deleted', suspect: true, repairedAtMs: nowMs, lostLines: lost.lines },
      ]);
    }
    const file = record?.file ?? judged!.name.file;
    return this.#summary(file, judged?.content, true);
  }

  /** The manifest said that it was deleted: what retention, or an earlier repair, left is put away. */
  async #finishDeletion(record: ManifestRecord): Promise<SegmentRepair> {
    const { names, fileSystem, folder, manifest } = this.#parts;
    this.#actions.push('removed');
    for (const { file, base } of names) {
      const isOurs = base === parseSegmentFile(record.file)!.base && record.repairedAtMs === undefined;
      if (!isOurs) await this.#moveAway(file);
      else if (manifest !== undefined) await fileSystem.unlink(join(folder, file));
    }
    if (manifest !== undefined) await fileSystem.syncFolder(folder);
    return {
      ...this.#summary(record.file, undefined, record.suspect),
      lostLines: 0,
      lostBytes: 0,
      lostFromMs: null,
      lostToMs: null,
    };
  }

  async #removeEmpty({ name, content }: Judged): Promise<SegmentRepair> {
    const { fileSystem, folder, manifest } = this.#parts;
    this.#actions.push('removed');
    if (manifest !== undefined) {
      await fileSystem.unlink(join(folder, name.file));
      await fileSystem.syncFolder(folder);
    }
    await this.#moveSidecar(name.base);
    return this.#summary(name.file, content, false);
  }

  async #moveAway(file: string): Promise<void> {
    const { folder, quarantine } = this.#parts;
    if (quarantine === undefined) this.#movedTo.push(file);
    else this.#movedTo.push(await quarantine.move(join(folder, file), file));
  }

  async #moveSidecar(base: string): Promise<void> {
    const { fileSystem, quarantine } = this.#parts;
    const path = join(this.#journalFolder, blocksFile(base));
    if (quarantine === undefined || (await fileSystem.stat(path)) === undefined) return;
    this.#movedTo.push(await quarantine.move(path, blocksFile(base)));
  }

  /** A sidecar that is about to be written anew: of what was cut it alone knows checksums and lines. */
  async #keepSidecar(name: SegmentName, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const piece = { file: blocksFile(name.base), offset: 0, bytes, lines: 0, why: 'the sidecar as it was' };
    await this.#parts.quarantine?.keep(piece);
  }

  #isSuspect({ content, isVouched }: Judged): boolean {
    const { record } = this.#parts;
    if (record?.suspect === true) return true;
    const isDamaged = !isSound(content) || (record !== undefined && !isVouched);
    return isDamaged && content.hasUnvouched;
  }

  /** What is the same whatever file it ends in. */
  #freshRecord({ name, content }: Judged): Omit<ManifestRecord, 'fileBytes' | 'sha256'> {
    const { record, nowMs } = this.#parts;
    return {
      ...(record?.repairedAtMs === undefined
        ? {}
        : { repairedAtMs: record.repairedAtMs, lostLines: record.lostLines ?? 0 }),
      segment: name.number,
      state: 'closed',
      file: name.file,
      startedAtMs: name.startedAtMs,
      closedAtMs: record?.closedAtMs ?? Math.max(name.startedAtMs, content.lastReceivedAtMs ?? nowMs),
      lines: content.lines,
      bytes: content.bytes,
      firstReceivedAtMs: content.firstReceivedAtMs,
      lastReceivedAtMs: content.lastReceivedAtMs,
      compression: name.compression,
      suspect: false,
    };
  }

  /** Beyond what was kept: what record or sidecar speak of, and at least what was cut. */
  #lost(content: RepairedContent | undefined): { lines: number; bytes: number } {
    const { record } = this.#parts;
    const cuts = content?.cuts ?? [];
    const cutLines = cuts.reduce((sum, { lines }) => sum + lines, 0);
    const cutBytes = cuts.reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      lines: Math.max(cutLines, (record?.lines ?? 0) - (content?.lines ?? 0)),
      bytes: Math.max(cutBytes, (record?.bytes ?? 0) - (content?.bytes ?? 0)),
    };
  }

  #summary(file: string, content: RepairedContent | undefined, isSuspect: boolean): SegmentRepair {
    const { record, names } = this.#parts;
    const lost = this.#lost(content);
    const number = record?.segment ?? names[0]!.number;
    const isAllLost = this.#actions.includes('lost');
    return {
      segment: number,
      file,
      actions: this.#actions,
      keptLines: content?.lines ?? 0,
      lostLines: lost.lines,
      lostBytes: lost.bytes,
      cuts: content?.cuts ?? [],
      movedTo: this.#movedTo,
      lostFromMs: isAllLost ? (record?.firstReceivedAtMs ?? null) : null,
      lostToMs: isAllLost ? (record?.lastReceivedAtMs ?? null) : null,
      isSuspect,
    };
  }
}

/** Nothing has to be taken out of it. */
function isSound({ cuts, isBroken }: RepairedContent): boolean {
  return cuts.length === 0 && !isBroken;
}
