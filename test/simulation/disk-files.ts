/**
 * What lies on the simulated disk: files and folders, each with two truths. `bytes` and `entries` are what
 * the operating system says; `durable...` is what a power cut is sure to leave; and in between lies what was
 * done since the last sync, of which a power cut keeps any part.
 *
 * Files are kept at sector granularity: a sector that was written holds, after the cut, what it held after
 * any one of the writes. Names are kept operation by operation: a prefix of them, as a journaling file
 * system does, or any subset, which is all that POSIX promises.
 *
 * Invariants:
 * 1. A sync that succeeds makes durable what was done before it began, and nothing else.
 * 2. A sync that fails takes the pages off the kernel's list: any part of them is on the disk, the rest never
 *    will be, whatever a later sync says (as Linux has it).
 * 3. A rename is one operation: a power cut leaves it done or not done.
 */
import type { Random } from '../../src/base/random.ts';

type WriteOp =
  | { readonly order: number; readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly order: number; readonly kind: 'truncate'; readonly sizeBytes: number };

export class SimulatedFile {
  readonly inode: number;
  bytes = new Uint8Array(0);
  sizeBytes = 0;
  linkCount = 1;
  openDescriptors = 0;
  modifiedAtMs = 0;
  /** A sync of it failed: what is on the disk is anybody's guess. */
  isTainted = false;
  #durable = new Uint8Array(0);
  #log: WriteOp[] = [];

  constructor(inode: number) {
    this.inode = inode;
  }

  get isDurable(): boolean {
    return this.#log.length === 0;
  }
  get durableBytes(): Uint8Array {
    return this.#durable;
  }
  content(): Uint8Array {
    return this.bytes.subarray(0, this.sizeBytes);
  }

  write(order: number, bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.bytes.length, 1024));
      grown.set(this.content());
      this.bytes = grown;
    }
    if (position > this.sizeBytes) this.bytes.fill(0, this.sizeBytes, position);
    this.bytes.set(bytes, position);
    this.sizeBytes = Math.max(this.sizeBytes, end);
    this.#log.push({ order, kind: 'write', position, bytes: bytes.slice() });
  }

  truncate(order: number, sizeBytes: number): void {
    if (sizeBytes > this.bytes.length) {
      const grown = new Uint8Array(sizeBytes);
      grown.set(this.content());
      this.bytes = grown;
    }
    if (sizeBytes > this.sizeBytes) this.bytes.fill(0, this.sizeBytes, sizeBytes);
    this.sizeBytes = sizeBytes;
    this.#log.push({ order, kind: 'truncate', sizeBytes });
  }

  /** A sync that began at `order` succeeded. */
  synced(order: number): void {
    this.#durable = applied(
      this.#durable,
      this.#log.filter((op) => op.order < order),
    );
    this.#log = this.#log.filter((op) => op.order >= order);
  }

  /** It failed: see invariant 2. */
  syncFailed(order: number, random: Random, sectorBytes: number): void {
    const done = this.#log.filter((op) => op.order < order);
    if (done.length > 0) this.isTainted = true;
    this.#durable = remains(this.#durable, done, random, sectorBytes);
    this.#log = this.#log.filter((op) => op.order >= order);
  }

  powerLost(random: Random, sectorBytes: number): void {
    if (this.#log.length > 0) this.#durable = remains(this.#durable, this.#log, random, sectorBytes);
    this.#log = [];
    this.bytes = this.#durable.slice();
    this.sizeBytes = this.bytes.length;
    this.openDescriptors = 0;
  }
}

function applied(base: Uint8Array, log: readonly WriteOp[]): Uint8Array<ArrayBuffer> {
  let sizeBytes = base.length;
  let capacityBytes = sizeBytes;
  for (const op of log) {
    capacityBytes = Math.max(
      capacityBytes,
      op.kind === 'write' ? op.position + op.bytes.length : op.sizeBytes,
    );
  }
  const image = new Uint8Array(capacityBytes);
  image.set(base);
  for (const op of log) {
    if (op.kind === 'write') {
      image.set(op.bytes, op.position);
      sizeBytes = Math.max(sizeBytes, op.position + op.bytes.length);
    } else {
      if (op.sizeBytes < sizeBytes) image.fill(0, op.sizeBytes, sizeBytes);
      sizeBytes = op.sizeBytes;
    }
  }
  return image.subarray(0, sizeBytes);
}

/** What may be left of `log` on top of `base`. */
function remains(
  base: Uint8Array,
  log: readonly WriteOp[],
  random: Random,
  sectorBytes: number,
): Uint8Array<ArrayBuffer> {
  const images = new Map<number, Uint8Array<ArrayBuffer>>();
  const imageAfter = (count: number): Uint8Array<ArrayBuffer> => {
    let image = images.get(count);
    if (image === undefined) {
      image = applied(base, log.slice(0, count));
      images.set(count, image);
    }
    return image;
  };
  switch (random.below(6)) {
    case 0:
      return imageAfter(0).slice();
    case 1:
      return imageAfter(log.length).slice();
    case 2:
      return imageAfter(random.below(log.length + 1)).slice();
    case 3: {
      // Written out of order, and a stretch of it was still to come.
      const result = imageAfter(log.length).slice();
      const before = imageAfter(0);
      const from = sectorBytes * random.below(Math.ceil(result.length / sectorBytes) + 1);
      const to = Math.min(
        result.length,
        from + sectorBytes * (1 + random.below(random.below(2) === 0 ? 4 : 64)),
      );
      for (let at = from; at < to; at++) result[at] = before[at] ?? 0;
      return result;
    }
    default: {
      const result = new Uint8Array(
        imageAfter(random.below(4) === 0 ? random.below(log.length + 1) : log.length).length,
      );
      const keptShare = random.next();
      for (let at = 0; at < result.length; at += sectorBytes) {
        const luck = random.next();
        const count =
          luck < keptShare
            ? log.length
            : luck < keptShare + (1 - keptShare) / 2
              ? 0
              : random.below(log.length + 1);
        // Beyond the end of what was written then the sector was never written: zeroes.
        result.set(imageAfter(count).subarray(at, Math.min(at + sectorBytes, result.length)), at);
      }
      return result;
    }
  }
}

/** One change of names; of a rename to another folder, `removesElsewhere` is the other half. */
interface NameOp {
  readonly order: number;
  readonly folder: SimulatedFolder;
  readonly sets: readonly (readonly [name: string, node: SimulatedNode])[];
  readonly removes: readonly string[];
  readonly removesElsewhere?: { readonly folder: SimulatedFolder; readonly name: string };
}

export type SimulatedNode = SimulatedFile | SimulatedFolder;

export class SimulatedFolder {
  readonly inode: number;
  modifiedAtMs = 0;
  entries = new Map<string, SimulatedNode>();
  durableEntries = new Map<string, SimulatedNode>();

  constructor(inode: number) {
    this.inode = inode;
  }
}

/** The names of all folders: one log, since one file system journals them together. */
export class NameLog {
  #log: NameOp[] = [];

  set(order: number, folder: SimulatedFolder, name: string, node: SimulatedNode): void {
    folder.entries.set(name, node);
    this.#log.push({ order, folder, sets: [[name, node]], removes: [] });
  }

  remove(order: number, folder: SimulatedFolder, name: string): void {
    folder.entries.delete(name);
    this.#log.push({ order, folder, sets: [], removes: [name] });
  }

  move(order: number, from: SimulatedFolder, oldName: string, to: SimulatedFolder, newName: string): void {
    const node = from.entries.get(oldName)!;
    from.entries.delete(oldName);
    to.entries.set(newName, node);
    const sets = [[newName, node]] as const;
    if (from === to) this.#log.push({ order, folder: to, sets, removes: [oldName] });
    else {
      const removesElsewhere = { folder: from, name: oldName };
      this.#log.push({ order, folder: to, sets, removes: [], removesElsewhere });
    }
  }

  synced(folder: SimulatedFolder, order: number): void {
    const isCovered = (op: NameOp): boolean => op.folder === folder && op.order < order;
    const covered = this.#log.filter(isCovered);
    // What moved here left the other folder, and whatever made it appear there is over as well.
    for (const op of covered) {
      const { removesElsewhere } = op;
      if (removesElsewhere === undefined) continue;
      this.#log = this.#log.filter(
        (other) =>
          other.folder !== removesElsewhere.folder ||
          other.order > op.order ||
          !other.sets.some(([name]) => name === removesElsewhere.name),
      );
    }
    this.#log = this.#log.filter((op) => !isCovered(op));
    covered.forEach(apply);
  }

  /** `inOrder`: a prefix of all changes survives; else any of them. */
  powerLost(folders: Iterable<SimulatedFolder>, random: Random, inOrder: boolean): void {
    const prefix = random.below(this.#log.length + 1);
    const keptShare = random.next();
    this.#log.forEach((op, index) => {
      if (inOrder ? index < prefix : random.next() < keptShare) apply(op);
    });
    this.#log = [];
    for (const folder of folders) folder.entries = new Map(folder.durableEntries);
  }
}

function apply({ folder, sets, removes, removesElsewhere }: NameOp): void {
  for (const name of removes) folder.durableEntries.delete(name);
  removesElsewhere?.folder.durableEntries.delete(removesElsewhere.name);
  for (const [name, node] of sets) folder.durableEntries.set(name, node);
}
