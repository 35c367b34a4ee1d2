/**
 * One life story of a journal on a real folder, with a fault put in at one call site: open, append,
 * rotate, sync, compress, retain, folder away and back, close, crash with a torn tail, start again. Then the
 * book of answers is held against what a reader finds, against `verify`, and against the manifest.
 *
 * Invariants checked after every run:
 * 1. Every batch got one answer; what was acknowledged is readable once, what was refused is not there.
 * 2. A file of readings is unlinked only when the manifest on the disk says "deleted", or another form of it is there.
 * 3. Once the fault is lifted, health returns by itself, everything is taken, and the next start is clean.
 * 4. `verify` finds no fault but those the story itself has made.
 * 5. A file whose sync failed is not synced again through the same descriptor.
 * 6. No descriptor stays open, nothing is rejected unhandled, nothing hangs.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { crc32, gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { SegmentArchiver } from '../../src/journal/archiver.ts';
import { openArchiver } from '../../src/journal/archiver.ts';
import { encodeBlock } from '../../src/journal/blocks.ts';
import { loadManifest } from '../../src/journal/folder-view.ts';
import type { JsonWriter } from '../../src/journal/json-writer.ts';
import { openJsonWriter } from '../../src/journal/json-writer.ts';
import type { ClosedSegment } from '../../src/journal/manifest.ts';
import { parseManifest } from '../../src/journal/manifest.ts';
import { CheckpointWriter } from '../../src/journal/producers/checkpoint-writer.ts';
import { restoreProducers } from '../../src/journal/producers/restore.ts';
import { allLines } from '../../src/journal/reader.ts';
import { repairFolder } from '../../src/journal/repair.ts';
import { COMPRESSIONS, parseSegmentFile, segmentFile } from '../../src/journal/segment-name.ts';
import { verifyFolder } from '../../src/journal/verify.ts';
import type { CallSites } from '../support/call-site-of.ts';
import type { Fault, FaultyFileSystem, FileSystemCall } from '../support/faulty-file-system.ts';
import { faultyFileSystem } from '../support/faulty-file-system.ts';
import { makeBatch } from '../support/journal-harness.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { Duration, PlannedFault } from './fault-plan.ts';
import { changesDisk } from './fault-plan.ts';
import type { Story } from './stories.ts';

/** A step that waits longer than this for something that must come is taken for a hang. */
const HANG_MS = Number(process.env.HANG_MS ?? 30_000);
const SLOW_MS = 15;
const KEPT_FILES = 2;

/** The n-th call of that method from that site. */
export interface Target {
  readonly site: string;
  readonly method: string;
  readonly occurrence: number;
  readonly fault: PlannedFault;
  readonly duration: Duration;
}

export interface RunResult {
  /** What the fault did, in a word or two. */
  readonly outcome: string;
  readonly violations: readonly string[];
  /** `site method` and how often it was called. */
  readonly calls: ReadonlyMap<string, number>;
  readonly wasHit: boolean;
}

const shm = '/dev/shm';
/** Memory is faster, and does not keep others from their disk. */
const scratch = existsSync(shm) ? shm : tmpdir();

export async function runStory(story: Story, sites: CallSites, target?: Target): Promise<RunResult> {
  const run = new FaultRun(story, sites, target);
  try {
    return await run.play();
  } finally {
    run.removeFolder();
  }
}

export class FaultRun {
  readonly folder: string;
  readonly fileSystem: FaultyFileSystem;
  readonly clock = new ManualClock();
  readonly #home: string;
  readonly #story: Story;
  readonly #sites: CallSites;
  readonly #target: Target | undefined;
  readonly #storyFault: ReturnType<NonNullable<Story['faults']>>;
  readonly #alsoRemove: string[] = [];
  #release!: () => void;
  readonly untilReleased = new Promise<void>((resolve) => {
    this.#release = resolve;
  });
  #isHeld: boolean;
  readonly #calls = new Map<string, number>();
  readonly #violations: string[] = [];
  readonly #acknowledged = new Map<string, number>();
  readonly #refused = new Set<string>();
  /** Batches in segments that retention removed, or that the story has put out of reach. */
  readonly #gone = new Set<string>();
  readonly #failedSyncs = new Set<string>();
  readonly #unhandled = (error: unknown): void => {
    this.#violations.push(`unhandled rejection: ${String(error)}`);
  };
  #given = 0;
  /** What is under way, for a report of a hang. */
  #step = '';
  #isOver = false;
  #hits = 0;
  #isLifted = false;
  #isBroken = false;
  #refusedByFault = 0;
  #failedStarts = 0;
  #archiverFaults = 0;
  #closedSegments: ClosedSegment[] = [];
  writer!: JsonWriter;
  archiver!: SegmentArchiver;

  constructor(story: Story, sites: CallSites, target: Target | undefined) {
    this.#home = mkdtempSync(join(story.isOnDisk ? tmpdir() : scratch, 'sink-faults-'));
    this.folder = join(this.#home, 'data');
    this.#story = story;
    this.#sites = sites;
    this.#target = target;
    this.#isHeld = story.isArchiverHeld ?? false;
    this.#storyFault = story.faults?.() ?? (() => undefined);
    this.fileSystem = faultyFileSystem((call) => this.#rule(call));
  }

  removeFolder(): void {
    for (const path of [this.#home, ...this.#alsoRemove]) rmSync(path, { recursive: true, force: true });
  }

  alsoRemove(path: string): void {
    this.#alsoRemove.push(path);
  }

  async play(): Promise<RunResult> {
    process.on('unhandledRejection', this.#unhandled);
    try {
      const told = this.#tell().catch((error: unknown) => {
        this.#violations.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
      });
      const tooLong = new AbortController();
      const hang = delay(HANG_MS, 'hang', { signal: tooLong.signal }).catch(() => undefined);
      if ((await Promise.race([told, hang])) === 'hang') this.#violations.push(`hangs: ${this.#step}`);
      this.#isOver = true;
      tooLong.abort();
      await nextTurn();
    } finally {
      process.off('unhandledRejection', this.#unhandled);
    }
    return {
      outcome: this.#outcome(),
      violations: this.#violations,
      calls: this.#calls,
      wasHit: this.#hits > 0,
    };
  }

  async #tell(): Promise<void> {
    const story = this.#story;
    await this.start();
    for (let round = 0; round < 6; round++) {
      this.#jump(round);
      await this.round(`a${round}`);
    }
    this.#release();
    this.#isHeld = false;
    await story.middle?.(this);
    await this.recover();
    const refusedBefore = this.#refused.size;
    for (let round = 0; round < 3; round++) await this.round(`b${round}`);
    if (this.#refused.size > refusedBefore && this.#isLifted)
      this.#violate('refuses after the fault is over');
    await this.settle();
    await this.stop();
    this.lift();
    this.#leaveTorn();
    await this.start();
    await this.round('c0');
    this.lift();
    await this.recover();
    await this.round('c1');
    await this.stop();
    // A fault in the second life may have left something for a third; that one is clean.
    this.#isLifted = true;
    await this.start();
    await this.settle();
    await this.stop();
    if (story.damage !== undefined) {
      story.damage(this);
      await this.#repair();
    }
    await this.#check();
  }

  /** Opens both, as the daemon does; a start that fails says so in one line, and works once the fault is over. */
  async start(): Promise<void> {
    this.#step = 'start';
    for (let attempt = 0; ; attempt++) {
      try {
        this.writer = await openJsonWriter(
          {
            filePath: this.folder,
            rotateBytes: this.#story.rotateBytes ?? 6000,
            rotateIntervalMs: this.#story.rotateIntervalMs ?? 0,
            syncIntervalMs: 200,
            durability: this.#story.durability ?? 'written',
          },
          { fileSystem: this.fileSystem, clock: this.clock, events: this.#writerEvents() },
        );
        // Whatever goes wrong here costs time at most.
        await restoreProducers(
          this.fileSystem,
          { folder: this.folder, journalFolder: join(this.folder, '.journal') },
          this.#closedSegments,
          this.clock.nowMs(),
        );
        try {
          this.archiver = await openArchiver(
            {
              filePath: this.folder,
              compress: this.#story.compress ?? 'gzip',
              retainFiles: this.#story.damage === undefined ? KEPT_FILES : 0,
              retainBytes: 0,
              retainAgeMs: this.#story.retainAgeMs ?? 0,
              lowSpaceBytes: 0,
            },
            {
              fileSystem: this.fileSystem,
              clock: this.clock,
              events: { onFault: () => this.#archiverFaults++ },
            },
          );
        } catch (error) {
          await this.writer.close();
          throw error;
        }
        for (const segment of this.#closedSegments.splice(0)) this.archiver.closed(segment);
        return;
      } catch (error) {
        this.#failedStarts++;
        if (attempt === 2) throw error;
        if (!/^(?:SinkError: FILE_PATH )/.test(String(error))) {
          this.#violate(`a start fails without a clear word: ${String(error)}`);
        }
        this.#closedSegments = [];
        if (attempt === 1) this.lift();
      }
    }
  }

  async stop(): Promise<void> {
    this.#step = 'stop';
    await this.writer.close();
    for (const segment of this.#closedSegments.splice(0)) this.archiver.closed(segment);
    await this.archiver.close({ finishHashes: true });
    const open = [...this.fileSystem.openDescriptors.values()];
    if (open.length > 0)
      this.#violate(`descriptors left open: ${open.map((path) => basename(path)).join(', ')}`);
  }

  async round(tag: string): Promise<void> {
    this.#step = `round ${tag}`;
    for (let i = 0; i < 3; i++) this.append(`${tag}.${i}`, this.#story.padBytes);
    this.writer.flush();
    this.clock.advance(250);
    await this.until(() => this.answered === this.#given);
    await this.settle();
  }

  append(id: string, padBytes = 350): void {
    this.#given++;
    this.writer.append(makeBatch(id, 3, padBytes), (result) => {
      if (this.#acknowledged.has(id) || this.#refused.has(id)) this.#violate(`${id} answered twice`);
      if (result.ok) this.#acknowledged.set(id, 3);
      else this.#refused.add(id);
    });
  }

  get answered(): number {
    return this.#acknowledged.size + this.#refused.size;
  }

  /** The archiver has taken what the writer closed, and has nothing more to do just now. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await nextTurn();
    for (const segment of this.#closedSegments.splice(0)) this.archiver.closed(segment);
    if (this.#isHeld) await delay(5);
    else await this.archiver.idle();
  }

  /** Lifts the fault; from there on the journal must find its way back without help. */
  async recover(): Promise<void> {
    this.#step = 'recover';
    this.#refusedByFault = this.#refused.size;
    this.lift();
    for (let second = 0; !this.writer.health.ok; second++) {
      // One that struck only while it was finding its way back lasts for half a minute.
      if (second >= 30) this.lift();
      if (this.#isOver) throw new Error('given up');
      this.clock.advance(1000);
      await nextTurn();
    }
    // Past the archiver's next tick, twice: what a step has made possible is due at the one after.
    for (let tick = 0; tick < 2; tick++) {
      this.clock.advance(10_000);
      await this.settle();
    }
  }

  /** A repair that meets the fault says so, in one line or in its report; the next one puts everything right. */
  async #repair(): Promise<void> {
    this.#step = 'repair';
    this.#isLifted = this.#hits > 0;
    // All that the story has damaged may be gone; that no more is, the tests of repair hold against the lines.
    for (const id of this.#acknowledged.keys()) this.#gone.add(id);
    const options = { isDryRun: false, fileSystem: this.fileSystem, clock: this.clock };
    try {
      const report = await repairFolder(this.folder, options);
      if (report.failures.length > 0 || report.faultsAfter.length > 0) this.#refusedByFault++;
    } catch (error) {
      this.#failedStarts++;
      if (!/^SinkError: /.test(String(error)))
        this.#violate(`a repair fails without a clear word: ${String(error)}`);
    }
    this.#isLifted = true;
    const again = await repairFolder(this.folder, options);
    for (const failure of again.failures) this.#violate(`the second repair: ${failure}`);
    const open = [...this.fileSystem.openDescriptors.values()];
    if (open.length > 0) this.#violate(`repair left descriptors open: ${open.join(', ')}`);
  }

  /** The fault that was put in is over, if it has begun; one that has not may still strike later. */
  lift(): void {
    if (this.#hits > 0) this.#isLifted = true;
  }

  /** The story is about to take these readings away. */
  forget(path: string): void {
    for (const id of idsIn(readFileSync(path, 'utf8')).keys()) this.#gone.add(id);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#isOver) throw new Error('given up');
      await nextTurn();
    }
  }

  #violate(what: string): void {
    this.#violations.push(what);
  }

  #writerEvents(): Parameters<typeof openJsonWriter>[1]['events'] {
    const checkpoints = new CheckpointWriter(
      this.fileSystem,
      join(this.folder, '.journal'),
      { size: 1, records: () => [{ id: 'gateway-1', next: 7n, holes: [], seenAtMs: this.clock.nowMs() }] },
      () => {},
    );
    return {
      onRecovered: () => {},
      onSegmentOpened: ({ number, file }) => checkpoints.segmentOpened(number, file),
      onSegmentClosed: (segment) => {
        checkpoints.segmentEnded(segment.number, segment.file);
        this.#closedSegments.push(segment);
      },
      onSegmentEmpty: ({ number, file }) => checkpoints.segmentEnded(number, file),
      onSegmentLost: ({ number, file }) => checkpoints.segmentEnded(number, file),
      onHealth: () => {},
      onWritten: () => {},
      onSynced: () => {},
    };
  }

  #jump(round: number): void {
    const jump = this.#story.clockJumpsMs?.[round];
    if (jump !== undefined) this.clock.jumpWall(jump);
  }

  #rule(call: FileSystemCall): Fault | undefined {
    const site = this.#sites.labelNow(call.method);
    const key = `${site} ${call.method}`;
    const count = (this.#calls.get(key) ?? 0) + 1;
    this.#calls.set(key, count);
    const fault = this.#targetFault(call, site, count) ?? this.#storyFault(call, site, this);
    this.#watchSyncs(call, site, fault);
    if (call.method.startsWith('unlink') && (fault === undefined || fault.kind === 'late'))
      this.#onUnlink(call.path);
    return fault;
  }

  #targetFault(call: FileSystemCall, site: string, count: number): Fault | undefined {
    const target = this.#target;
    if (target === undefined || this.#isLifted) return undefined;
    const isSite = target.site === site && target.method === call.method;
    if (isSite && count >= target.occurrence) this.#isBroken = true;
    if (!this.#isBroken) return undefined;
    const { fault, duration } = target;
    if (isSite) {
      if (duration === 'once' && this.#hits >= 1) return undefined;
      if (duration === 'thrice' && this.#hits >= 3) return undefined;
    } else if (duration !== 'disk' || !changesDisk(call.method)) return undefined;
    this.#hits++;
    if (fault.kind === 'slow') return { ...fault, until: delay(SLOW_MS) };
    const kind = fault.kind === 'partial' && !/^write/.test(call.method) ? 'error' : fault.kind;
    return { kind, code: fault.code };
  }

  /** A descriptor whose sync failed is never synced again: the kernel may report success and have dropped the pages. */
  #watchSyncs(call: FileSystemCall, site: string, fault: Fault | undefined): void {
    // Of a cut: it says where the file ends, which is no page, and is cut again before each attempt. What a page holds hangs on none.
    if (site.endsWith('open-segment.ts #syncEnd: sync(this.#fd)')) return;
    if (call.method === 'open' || call.method === 'openSync') this.#failedSyncs.delete(call.path);
    if (call.method !== 'sync' && call.method !== 'syncData') return;
    if (this.#failedSyncs.has(call.path))
      this.#violate(`${basename(call.path)} is synced again after a failed sync`);
    if (fault !== undefined && fault.kind !== 'slow') this.#failedSyncs.add(call.path);
  }

  /** The last moment at which readings can be seen to go, and whether they may. */
  #onUnlink(path: string): void {
    const name = parseSegmentFile(basename(path));
    if (name === undefined || dirname(path) !== this.folder || !existsSync(path)) return;
    const content = readFileSync(path);
    if (content.length === 0) return;
    const others = COMPRESSIONS.map((form) => segmentFile(name.base, form)).filter(
      (file) => file !== name.file && existsSync(join(this.folder, file)),
    );
    const manifest = parseManifest(
      existsSync(join(this.folder, '.journal', 'manifest.jsonl'))
        ? readFileSync(join(this.folder, '.journal', 'manifest.jsonl'))
        : '',
    );
    const record = manifest.records.get(name.number);
    if (record?.state === 'deleted') {
      const text =
        name.compression === 'gzip'
          ? gunzipSync(content)
          : name.compression === 'zstd'
            ? zstdDecompressSync(content)
            : content;
      // A write that failed in its middle may have left part of a line at the end.
      const whole = text.subarray(0, text.lastIndexOf(0x0a) + 1).toString();
      for (const id of idsIn(whole).keys()) this.#gone.add(id);
    } else if (others.length === 0 && content.includes(0x0a)) {
      this.#violate(`${name.file} is unlinked, but neither deleted nor superfluous`);
    } else if (record !== undefined && record.file === name.file) {
      this.#violate(`${name.file} is unlinked, but the manifest names it`);
    }
  }

  /** What a killed process leaves: a segment without a record, with a torn tail; an empty one; an unfinished draft. */
  #leaveTorn(): void {
    const numbers = readdirSync(this.folder).map((file) => parseSegmentFile(file)?.number ?? 0);
    const next = Math.max(0, ...numbers, ...this.#deletedNumbers()) + 1;
    const base = (number: number): string => `telemetry-20261120T110000Z-${String(number).padStart(6, '0')}`;
    const batch = makeBatch('torn', 4, 350);
    const tail = this.#story.arePagesLost
      ? Buffer.alloc(8192)
      : Buffer.from('{"sensor_name":"never acknowledged');
    const kept = { offset: 0, bytes: batch.bytes.length, lines: 4, crc32: crc32(batch.bytes) };
    const lost = { offset: kept.bytes, bytes: 8192, lines: 9, crc32: 0x12345678 };
    const sidecar = this.#story.arePagesLost ? encodeBlock(kept) + encodeBlock(lost) : '{"offset":0,"by';
    writeFileSync(join(this.folder, `${base(next)}.jsonl`), Buffer.concat([batch.bytes, tail]));
    writeFileSync(join(this.folder, '.journal', `${base(next)}.blocks`), sidecar);
    this.#given++;
    this.#acknowledged.set('torn', 4);
    writeFileSync(join(this.folder, `${base(next + 1)}.jsonl`), '');
    writeFileSync(join(this.folder, '.journal', `${base(next + 1)}.blocks`), '');
    writeFileSync(join(this.folder, '.journal', `${base(next)}.jsonl.gz.tmp`), 'half a draft');
    if (this.#story.isFirstCrash) return;
    const torn = join(this.folder, '.journal', 'torn');
    mkdirSync(torn, { recursive: true });
    for (let i = 0; i < 17; i++) writeFileSync(join(torn, `earlier-${i}.bin`), 'x');
  }

  #deletedNumbers(): number[] {
    const path = join(this.folder, '.journal', 'manifest.jsonl');
    return existsSync(path) ? [...parseManifest(readFileSync(path)).records.keys()] : [];
  }

  async #check(): Promise<void> {
    if (this.answered !== this.#given)
      this.#violate(`${this.#given - this.answered} batches without an answer`);
    let text = '';
    for await (const chunk of allLines(this.folder)) text += chunk.toString();
    const found = idsIn(text);
    for (const [id, lines] of this.#acknowledged) {
      const count = found.get(id);
      if (count === undefined ? !this.#gone.has(id) : count !== lines) {
        this.#violate(`${id} was acknowledged with ${lines} lines and is there with ${count ?? 0}`);
      }
    }
    for (const id of this.#refused) if (found.has(id)) this.#violate(`${id} was refused and is there`);
    const report = await verifyFolder(this.folder, { settleMs: 0 });
    const expected = new Set<string>(this.#story.expectedFaults ?? []);
    for (const { kind, file, message } of report.faults) {
      if (!expected.has(kind)) this.#violate(`verify: ${file}: ${kind}: ${message}`);
    }
    if (report.openFile !== null && this.#story.damage === undefined)
      this.#violate(`left open: ${report.openFile}`);
    const manifest = await loadManifest(this.folder);
    const kept = [...(manifest?.records.values() ?? [])].filter(({ state }) => state === 'closed').length;
    if (kept > KEPT_FILES && this.#story.damage === undefined)
      this.#violate(`${kept} segments are kept where ${KEPT_FILES} are allowed`);
    for (const path of readdirSync(join(this.folder, '.journal'))) {
      if (path.endsWith('.tmp')) this.#violate(`left behind: ${path}`);
    }
  }

  #outcome(): string {
    if (this.#target === undefined) return 'recorded';
    if (this.#violations.length > 0) return 'VIOLATION';
    const parts: string[] = [];
    if (this.#failedStarts > 0) parts.push('start refused');
    if (this.#refusedByFault > 0) parts.push('refused');
    if (this.#archiverFaults > 0) parts.push('reported');
    return parts.length === 0 ? 'taken in stride' : parts.join(', ');
  }
}

export function idsIn(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const id = (JSON.parse(line) as { sensor_name: string }).sensor_name.split('/')[0]!;
    found.set(id, (found.get(id) ?? 0) + 1);
  }
  return found;
}
