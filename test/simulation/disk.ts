/**
 * The simulated disk as the operating system shows it: a FileSystem for the daemon's code, with a capacity,
 * with faults on order, and with a hand on the plug.
 *
 * A blocking call happens at once. One that returns a promise takes effect either when it is asked for or
 * when it ends, as the seed has it; if the process dies in between, it has happened or not.
 *
 * A crash can come at any single call that changes something (`crashAtChange`): from then on the process
 * talks to a dead disk until its turn is over, and then it is no more. A write that the crash hits may have
 * been carried out in part.
 */
import { basename, dirname } from 'node:path';
import type { Random } from '../../src/base/random.ts';
import type { FileStatus, FileSystem, OpenMode, SpaceStatus } from '../../src/journal/file-system.ts';
import { NameLog, SimulatedFile, SimulatedFolder, type SimulatedNode } from './disk-files.ts';
import type { Scheduler } from './scheduler.ts';

/** What the seed says about this disk and this file system. */
export interface DiskTemper {
  readonly sectorBytes: 512 | 4096;
  /** A power cut keeps a prefix of the changes of names; otherwise any subset. */
  readonly namesInOrder: boolean;
  readonly typicalMs: number;
  /** One sync in so many takes up to `slowMs`. */
  readonly slowOneIn: number;
  readonly slowMs: number;
  /** O_DIRECT: where in memory a block must begin (modulo 512), or undefined when this file system has none. */
  readonly directStart: number | undefined;
}

/** Faults in force now; each a chance per call. */
export interface DiskFaults {
  sync: number;
  write: number;
  anything: number;
}

export interface DiskCounts {
  calls: number;
  directWrites: number;
  syncs: number;
  slowSyncs: number;
  failedSyncs: number;
  injectedFaults: number;
  noSpace: number;
  powerLosses: number;
  unsyncedFilesAtPowerLoss: number;
}

/** When every run begins, on the wall clock. */
export const START_MS = Date.UTC(2026, 10, 20, 10);

const CREATES: ReadonlySet<OpenMode> = new Set(['create', 'write', 'replace']);

export class SimulatedDisk {
  readonly fileSystem: FileSystem;
  readonly counts: DiskCounts = {
    calls: 0,
    directWrites: 0,
    syncs: 0,
    slowSyncs: 0,
    failedSyncs: 0,
    injectedFaults: 0,
    noSpace: 0,
    powerLosses: 0,
    unsyncedFilesAtPowerLoss: 0,
  };
  readonly faults: DiskFaults = { sync: 0, write: 0, anything: 0 };
  capacityBytes = Number.POSITIVE_INFINITY;
  /** The change at which the process is to die, counted down; undefined for none. */
  crashAtChange: number | undefined;
  onCrash: () => void = () => {};
  /** Files that could not be cut back, or of which nobody could tell whether they should be; counted by whoever asks. */
  failedCuts = 0;
  /** The process is dead and does not know it yet. */
  isFrozen = false;
  /** Before a name goes. */
  onUnlink: (path: string, file: SimulatedFile) => void = () => {};

  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #temper: DiskTemper;
  readonly #root = new SimulatedFolder(1);
  readonly #names = new NameLog();
  readonly #nodes = new Set<SimulatedNode>();
  readonly #descriptors = new Map<number, { file: SimulatedFile; path: string; isDirect: boolean }>();
  #isNextWriteFailing = false;
  #nextInode = 2;
  #nextDescriptor = 10;
  /** Of every change on the disk: what a sync covers is what came before it. */
  #order = 1;

  constructor(scheduler: Scheduler, random: Random, temper: DiskTemper) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#temper = temper;
    this.#nodes.add(this.#root);
    this.fileSystem = this.#asFileSystem();
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const node of this.#nodes) if (node instanceof SimulatedFile) bytes += node.sizeBytes;
    return bytes;
  }
  pathOf(fd: number): string {
    return this.#descriptors.get(fd)?.path ?? '';
  }
  get openDescriptors(): number {
    return this.#descriptors.size;
  }

  /** kill -9 and every other end of a process: what the operating system has, it keeps. */
  processEnded(): void {
    for (const { file } of this.#descriptors.values()) file.openDescriptors = 0;
    this.#descriptors.clear();
    this.#thaw();
    this.#forgetUnnamed();
  }

  powerLost(): void {
    this.counts.powerLosses++;
    this.#descriptors.clear();
    this.#thaw();
    const folders = [...this.#nodes].filter((node) => node instanceof SimulatedFolder);
    this.#names.powerLost(folders, this.#random, this.#temper.namesInOrder);
    for (const node of this.#nodes) {
      if (!(node instanceof SimulatedFile)) continue;
      if (!node.isDurable) this.counts.unsyncedFilesAtPowerLoss++;
      node.powerLost(this.#random, this.#temper.sectorBytes);
    }
    this.#forgetUnnamed();
  }

  #thaw(): void {
    this.isFrozen = false;
    this.crashAtChange = undefined;
  }

  /** For whoever looks from outside: no faults, no time. */
  find(path: string): SimulatedNode | undefined {
    let node: SimulatedNode | undefined = this.#root;
    for (const name of path.split('/')) {
      if (name === '') continue;
      if (!(node instanceof SimulatedFolder)) return undefined;
      node = node.entries.get(name);
    }
    return node;
  }

  /** What a power cut would be sure to leave of a file. */
  durableBytesOf(path: string): Uint8Array {
    const file = this.find(path);
    return file instanceof SimulatedFile ? file.durableBytes : new Uint8Array(0);
  }

  /** The folder and all above it, there before anything began. */
  makeDurableFolder(path: string): void {
    this.#makeFolder(path, true);
    for (const node of this.#nodes) {
      if (node instanceof SimulatedFolder) this.#names.synced(node, this.#order + 1);
    }
  }

  #asFileSystem(): FileSystem {
    const soon = <T>(method: string, path: string | number, act: () => T): Promise<T> =>
      this.#soon(method, path, act);
    return {
      openSync: (path, mode) => this.#now('open', path, () => this.#open(path, mode)),
      closeSync: (fd) => this.#now('close', fd, () => this.#close(fd)),
      writevSync: (fd, parts, position) =>
        this.#now('write', fd, () => this.#writeParts(fd, parts, position)),
      truncateSync: (fd, sizeBytes) => this.#now('truncate', fd, () => this.#truncate(fd, sizeBytes)),
      statusSync: (fd) => this.#now('status', fd, () => statusOf(this.#file(fd))),
      statSync: (path) => this.#now('stat', path, () => this.#stat(path)),
      unlinkSync: (path) => this.#now('unlink', path, () => this.#unlink(path)),

      open: (path, mode) => soon('open', path, () => this.#open(path, mode)),
      close: (fd) => soon('close', fd, () => this.#close(fd)),
      read: (fd, target, position) => soon('read', fd, () => this.#read(fd, target, position)),
      write: (fd, bytes, position) => soon('write', fd, () => this.#writeParts(fd, [bytes], position)),
      truncate: (fd, sizeBytes) => soon('truncate', fd, () => this.#truncate(fd, sizeBytes)),
      status: (fd) => soon('status', fd, () => statusOf(this.#file(fd))),
      syncData: (fd) => this.#sync(fd),
      sync: (fd) => this.#sync(fd),
      syncFolder: (path) => this.#syncFolder(path),
      stat: (path) => soon('stat', path, () => this.#stat(path)),
      list: (path) => soon('list', path, () => [...this.#folder(path).entries.keys()]),
      makeFolder: (path, recursive) => soon('makeFolder', path, () => this.#makeFolder(path, recursive)),
      rename: (from, to) => soon('rename', from, () => this.#rename(from, to)),
      unlink: (path) => soon('unlink', path, () => this.#unlink(path)),
      space: (path) => soon('space', path, () => this.#space()),
    };
  }

  #now<T>(method: string, subject: string | number, act: () => T): T {
    this.counts.calls++;
    this.#inject(method, subject);
    return act();
  }

  #soon<T>(method: string, subject: string | number, act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let settle: (() => void) | undefined;
      const carryOut = (): void => {
        try {
          const value = this.#now(method, subject, act);
          settle = () => resolve(value);
        } catch (error) {
          settle = () => reject(error);
        }
      };
      if (this.#random.below(2) === 0) carryOut();
      this.#scheduler.afterMine(this.#delayMs(), method, () => {
        if (settle === undefined) carryOut();
        settle!();
      });
    });
  }

  #delayMs(): number {
    return this.#temper.typicalMs * (0.2 + this.#random.next());
  }

  #inject(method: string, subject: string | number): void {
    const { write, anything } = this.faults;
    if (method === 'write' && this.#isNextWriteFailing) {
      this.#isNextWriteFailing = false;
      throw this.#fault('EIO', method, subject);
    }
    const chance = method === 'write' ? write + anything : method === 'close' ? 0 : anything;
    if (chance > 0 && this.#random.next() < chance) {
      this.counts.injectedFaults++;
      if (method === 'truncate' || method === 'status') this.failedCuts++;
      throw this.#fault('EIO', method, subject);
    }
  }

  #fault(code: string, method: string, subject: string | number): NodeJS.ErrnoException {
    const path =
      typeof subject === 'number' ? (this.#descriptors.get(subject)?.path ?? `fd ${subject}`) : subject;
    this.#scheduler.note(`${code}: ${method} ${path}`);
    return Object.assign(new Error(`${code}: simulated, ${method} '${path}'`), { code, syscall: method });
  }

  /** Before every change: true when the process is dead, and nothing changes any more. */
  #isDead(): boolean {
    if (this.isFrozen) return true;
    if (this.crashAtChange === undefined || --this.crashAtChange > 0) return false;
    this.isFrozen = true;
    this.onCrash();
    return true;
  }

  #sync(fd: number): Promise<void> {
    const file = this.#file(fd);
    const { path } = this.#descriptors.get(fd)!;
    const mark = this.#order;
    this.counts.syncs++;
    return this.#later(
      'sync',
      path,
      () => file.synced(mark),
      () => file.syncFailed(mark, this.#random, this.#temper.sectorBytes),
    );
  }

  #syncFolder(path: string): Promise<void> {
    const mark = this.#order;
    return this.#later(
      'syncFolder',
      path,
      () => this.#names.synced(this.#folder(path), mark),
      () => {},
    );
  }

  /** The data is on the disk at some moment before the caller hears of it. */
  #later(method: string, path: string, succeed: () => void, fail: () => void): Promise<void> {
    const isSlow = this.#random.below(this.#temper.slowOneIn) === 0;
    if (isSlow) this.counts.slowSyncs++;
    const durationMs = isSlow ? this.#random.next() * this.#temper.slowMs : 2 * this.#delayMs();
    const doneMs = durationMs * this.#random.next();
    const { sync, anything } = this.faults;
    const fails = sync + anything > 0 && this.#random.next() < sync + anything;
    return new Promise((resolve, reject) => {
      let settle = (): void => resolve();
      this.#scheduler.afterMine(doneMs, `${method} takes effect`, () => {
        if (this.isFrozen) return;
        try {
          if (fails) fail();
          else succeed();
        } catch (error) {
          settle = () => reject(error);
        }
      });
      this.#scheduler.afterMine(durationMs, method, () => {
        if (!fails) settle();
        else {
          this.counts.failedSyncs++;
          reject(this.#fault('EIO', method, path));
        }
      });
    });
  }

  #open(path: string, mode: OpenMode): number {
    let file = this.find(path);
    if (file instanceof SimulatedFolder) throw this.#fault('EISDIR', 'open', path);
    if (file !== undefined && mode === 'create') throw this.#fault('EEXIST', 'open', path);
    if (file === undefined) {
      if (!CREATES.has(mode)) throw this.#fault('ENOENT', 'open', path);
      if (this.usedBytes >= this.capacityBytes) throw this.#noSpace('open', path);
      file = new SimulatedFile(this.#nextInode++);
      if (!this.#isDead()) {
        this.#nodes.add(file);
        this.#names.set(this.#order++, this.#folder(dirname(path)), basename(path), file);
      }
    } else if (mode === 'replace' && file.sizeBytes > 0 && !this.#isDead()) {
      file.truncate(this.#order++, 0);
    }
    const isDirect = mode === 'direct';
    if (isDirect && this.#temper.directStart === undefined) throw this.#fault('EINVAL', 'open', path);
    const fd = this.#nextDescriptor++;
    file.openDescriptors++;
    this.#descriptors.set(fd, { file, path, isDirect });
    return fd;
  }

  #close(fd: number): void {
    const file = this.#file(fd);
    this.#descriptors.delete(fd);
    file.openDescriptors--;
    if (file.linkCount === 0 && file.openDescriptors === 0) this.#nodes.delete(file);
  }

  #read(fd: number, target: Uint8Array, position: number): number {
    const file = this.#file(fd);
    const length = Math.max(0, Math.min(target.length, file.sizeBytes - position));
    target.set(file.bytes.subarray(position, position + length));
    return length;
  }

  #writeParts(fd: number, parts: readonly Uint8Array[], position: number): number {
    const file = this.#file(fd);
    const all = Buffer.concat(parts);
    if (this.#descriptors.get(fd)!.isDirect) this.#checkAlignment(fd, parts, position);
    const growth = position + all.length - file.sizeBytes;
    let length = all.length;
    if (growth > 0 && this.capacityBytes !== Number.POSITIVE_INFINITY) {
      const roomBytes = this.capacityBytes - this.usedBytes;
      if (roomBytes < growth) length = Math.max(0, all.length - (growth - Math.max(0, roomBytes)));
      if (length === 0) throw this.#noSpace('write', fd);
    }
    // A short write, which POSIX allows at any time.
    if (this.faults.write > 0 && length > 1 && this.#random.next() < this.faults.write) {
      length = 1 + this.#random.below(length - 1);
      // As on a disk that is full or failing: the rest does not fit either.
      this.#isNextWriteFailing = this.#random.below(2) === 0;
    }
    if (this.#isDead()) {
      // The crash came during this very write, if it came with it.
      if (this.crashAtChange === 0) {
        this.crashAtChange = undefined;
        file.write(this.#order++, all.subarray(0, this.#random.below(length + 1)), position);
      }
      return length;
    }
    file.write(this.#order++, all.subarray(0, length), position);
    file.modifiedAtMs = START_MS + this.#scheduler.nowMs;
    return length;
  }

  #checkAlignment(fd: number, parts: readonly Uint8Array[], position: number): void {
    const isAligned = (part: Uint8Array): boolean =>
      part.length % 512 === 0 && part.byteOffset % 512 === this.#temper.directStart;
    if (position % 512 !== 0 || !parts.every(isAligned)) throw this.#fault('EINVAL', 'write', fd);
    this.counts.directWrites++;
  }

  #truncate(fd: number, sizeBytes: number): void {
    const file = this.#file(fd);
    if (!this.#isDead()) file.truncate(this.#order++, sizeBytes);
  }

  #stat(path: string): FileStatus | undefined {
    const node = this.find(path);
    return node && statusOf(node);
  }

  #unlink(path: string): void {
    const file = this.find(path);
    if (!(file instanceof SimulatedFile)) throw this.#fault('ENOENT', 'unlink', path);
    if (this.#isDead()) return;
    this.onUnlink(path, file);
    this.#names.remove(this.#order++, this.#folder(dirname(path)), basename(path));
    file.linkCount--;
    if (file.openDescriptors === 0) this.#nodes.delete(file);
  }

  #rename(from: string, to: string): void {
    const file = this.find(from);
    if (file === undefined) throw this.#fault('ENOENT', 'rename', from);
    if (this.#isDead()) return;
    const replaced = this.find(to);
    if (replaced instanceof SimulatedFile) {
      replaced.linkCount--;
      if (replaced.openDescriptors === 0) this.#nodes.delete(replaced);
    }
    this.#names.move(
      this.#order++,
      this.#folder(dirname(from)),
      basename(from),
      this.#folder(dirname(to)),
      basename(to),
    );
  }

  #makeFolder(path: string, recursive: boolean): void {
    const existing = this.find(path);
    if (existing !== undefined) {
      if (recursive && existing instanceof SimulatedFolder) return;
      throw this.#fault('EEXIST', 'mkdir', path);
    }
    const parent = dirname(path);
    if (recursive && this.find(parent) === undefined) this.#makeFolder(parent, true);
    const inParent = this.#folder(parent);
    if (this.#isDead()) return;
    const folder = new SimulatedFolder(this.#nextInode++);
    this.#nodes.add(folder);
    this.#names.set(this.#order++, inParent, basename(path), folder);
  }

  #space(): SpaceStatus {
    const totalBytes = Math.min(this.capacityBytes, 2 ** 40);
    return { totalBytes, availableBytes: Math.max(0, totalBytes - this.usedBytes) };
  }

  #noSpace(method: string, subject: string | number): NodeJS.ErrnoException {
    this.counts.noSpace++;
    return this.#fault('ENOSPC', method, subject);
  }

  #file(fd: number): SimulatedFile {
    const open = this.#descriptors.get(fd);
    if (open === undefined) throw this.#fault('EBADF', 'descriptor', fd);
    return open.file;
  }

  #folder(path: string): SimulatedFolder {
    const node = this.find(path);
    if (!(node instanceof SimulatedFolder)) throw this.#fault('ENOENT', 'folder', path);
    return node;
  }

  /** After a crash: what no name leads to is gone. */
  #forgetUnnamed(): void {
    const named = new Set<SimulatedNode>();
    const walk = (folder: SimulatedFolder): void => {
      named.add(folder);
      for (const node of folder.entries.values()) {
        if (node instanceof SimulatedFolder) walk(node);
        else named.add(node);
      }
    };
    walk(this.#root);
    for (const node of this.#nodes) {
      if (!named.has(node)) this.#nodes.delete(node);
      else if (node instanceof SimulatedFile) node.linkCount = 1;
    }
  }
}

function statusOf(node: SimulatedNode): FileStatus {
  const isFolder = node instanceof SimulatedFolder;
  return {
    sizeBytes: isFolder ? 0 : node.sizeBytes,
    linkCount: isFolder ? 2 : node.linkCount,
    device: 1,
    inode: node.inode,
    modifiedAtMs: node.modifiedAtMs,
    isFolder,
  };
}
