/**
 * The stories a journal is told with: together they come past every call site, the ones included that are
 * only reached when something else has failed before.
 */
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { openJsonWriter } from '../../src/journal/json-writer.ts';
import { parseSegmentFile } from '../../src/journal/segment-name.ts';
import type { Fault, FileSystemCall } from '../support/faulty-file-system.ts';
import type { FaultRun } from './fault-run.ts';

export interface Story {
  readonly name: string;
  readonly durability?: 'written' | 'synced';
  readonly compress?: 'none' | 'gzip' | 'zstd';
  readonly rotateBytes?: number;
  readonly rotateIntervalMs?: number;
  /** Of each line, beside what makes it a reading. */
  readonly padBytes?: number;
  /** Not in memory: only a disk takes writes around the page cache. */
  readonly isOnDisk?: boolean;
  readonly retainAgeMs?: number;
  /** Of the wall clock, before the round of that number. */
  readonly clockJumpsMs?: Readonly<Record<number, number>>;
  /** Faults that are part of the story, beside the one that is tried. */
  readonly faults?: () => (call: FileSystemCall, site: string, run: FaultRun) => Fault | undefined;
  readonly middle?: (run: FaultRun) => Promise<void>;
  /** Call sites whose label holds this are tried in this story, also when an earlier one comes past them. */
  readonly meantFor?: string;
  /** Its first compression waits until the middle, and nobody waits for it. */
  readonly isArchiverHeld?: boolean;
  /** No earlier crash has left anything in torn/. */
  readonly isFirstCrash?: boolean;
  /** Its crash is that of the machine: a block that the sidecar speaks of holds zeroes. */
  readonly arePagesLost?: boolean;
  /** What happens to the files after all is over; then a repair is run, and run again. */
  readonly damage?: (run: FaultRun) => void;
  /** Kinds of faults that the story itself makes in the folder. */
  readonly expectedFaults?: readonly string[];
}

const error = (code: string): Fault => ({ kind: 'error', code });

/** The n-th call that `matches` fails. */
function nth(
  wanted: number,
  matches: (call: FileSystemCall) => boolean,
  fault: Fault,
): NonNullable<Story['faults']> {
  return () => {
    let seen = 0;
    return (call) => (matches(call) && ++seen === wanted ? fault : undefined);
  };
}

function all(...parts: NonNullable<Story['faults']>[]): NonNullable<Story['faults']> {
  return () => {
    const rules = parts.map((part) => part());
    return (call, site, run) => {
      let fault: Fault | undefined;
      for (const rule of rules) fault = rule(call, site, run) ?? fault;
      return fault;
    };
  };
}

const isData = (call: FileSystemCall): boolean =>
  call.path.endsWith('.jsonl') && !call.path.includes('.journal');
const isManifest = (call: FileSystemCall): boolean => call.path.endsWith('manifest.jsonl');

export const STORIES: readonly Story[] = [
  { name: 'plain sailing' },
  { name: 'synced, zstd', durability: 'synced', compress: 'zstd' },
  {
    name: 'the folder is away for a while',
    middle: async (run) => {
      renameSync(run.folder, `${run.folder}.away`);
      run.clock.advance(1000);
      run.append('while-away');
      run.writer.flush();
      await run.settle();
      renameSync(`${run.folder}.away`, run.folder);
      // A second daemon comes by while this one has the folder, or has just lost it.
      await openSecond(run);
    },
  },
  {
    name: 'somebody removes .journal',
    // Others come past it, too, but not each time.
    meantFor: 'completeSidecar:',
    expectedFaults: ['sidecar'],
    middle: async (run) => {
      rmSync(join(run.folder, '.journal'), { recursive: true, force: true });
      run.clock.advance(1000);
      await run.settle();
    },
  },
  { name: 'a second daemon', middle: openSecond },
  {
    name: 'a write fails half way',
    faults: nth(4, (call) => call.method === 'writevSync' && isData(call), {
      kind: 'partial',
      code: 'ENOSPC',
    }),
  },
  {
    name: 'a sync fails, and the segment is closed as suspect',
    meantFor: 'writeAgainDurably',
    faults: nth(2, (call) => call.method === 'syncData' && isData(call), error('EIO')),
  },
  {
    name: 'a segment cannot be begun',
    faults: nth(2, (call) => call.method === 'openSync' && isData(call), error('EMFILE')),
  },
  {
    name: 'the first write of a segment fails, then it is closed',
    faults: () => (call) =>
      call.method === 'writevSync' && isData(call) && call.path.includes('-000002')
        ? error('EDQUOT')
        : undefined,
  },
  {
    name: 'the manifest cannot be synced, then not renamed',
    faults: all(
      nth(2, (call) => call.method === 'syncData' && isManifest(call), error('EIO')),
      nth(1, (call) => call.method === 'rename' && call.path.endsWith('manifest.jsonl.tmp'), error('EIO')),
    ),
  },
  {
    name: 'a segment cannot be synced and is taken back to the last good sync',
    durability: 'synced',
    faults: nth(3, (call) => call.method === 'syncData' && isData(call), error('EIO')),
  },
  {
    name: 'the manifest cannot be written anew',
    faults: () => (call) =>
      call.method === 'open' && call.path.endsWith('manifest.jsonl.tmp') ? error('EMFILE') : undefined,
  },
  {
    name: 'records are written half',
    faults: () => {
      // Every other, however few there are: one half is found by the next record of the same run.
      let writes = 0;
      return (call) =>
        call.method === 'write' && isManifest(call) && ++writes % 2 === 1
          ? { kind: 'partial', code: 'ENOSPC' }
          : undefined;
    },
  },
  {
    name: 'a new folder cannot be synced',
    faults: nth(3, (call) => call.method === 'syncFolder', error('EIO')),
  },
  {
    name: 'a copy cannot be written',
    faults: nth(1, (call) => call.method === 'write' && call.path.endsWith('.gz.tmp'), error('EDQUOT')),
  },
  {
    name: 'compression is slower than retention',
    isArchiverHeld: true,
    meantFor: 'unlink(drafted.path)',
    faults: () => {
      let isHeld = false;
      return (call, _site, run) => {
        if (isHeld || call.method !== 'sync' || !call.path.endsWith('.gz.tmp')) return undefined;
        isHeld = true;
        return { kind: 'slow', code: '', until: run.untilReleased };
      };
    },
  },
  {
    name: 'somebody removes a closed segment before it is compressed',
    meantFor: '#isHopeless',
    expectedFaults: ['missing'],
    faults: () => {
      let isRemoved = false;
      return (call, _site, run) => {
        if (isRemoved || call.method !== 'open' || !call.path.endsWith('-000002.jsonl.gz.tmp'))
          return undefined;
        isRemoved = true;
        const file = readdirSync(run.folder).find((name) => name.endsWith('-000002.jsonl'))!;
        run.forget(join(run.folder, file));
        rmSync(join(run.folder, file));
        return undefined;
      };
    },
  },
  {
    name: 'large groups go around the page cache',
    isOnDisk: true,
    padBytes: 60_000,
    rotateBytes: 1_100_000,
  },
  {
    name: 'a second descriptor of the segment is not to be trusted',
    isOnDisk: true,
    padBytes: 60_000,
    rotateBytes: 1_100_000,
    meantFor: '#openDirect: closeSync',
    faults: () => (_call, site) => (site.includes('#openDirect: statusSync') ? error('EIO') : undefined),
  },
  { name: 'a plain journal is damaged and repaired', compress: 'none', damage: damageEverything },
  {
    name: 'a compressed journal is damaged and repaired, and a sector cannot be read',
    damage: damageEverything,
    faults: () => (call, site) =>
      site.includes('src/journal/repair-content.ts read: read(this.#fd') && call.path.includes('-000001')
        ? error('EIO')
        : undefined,
  },
  {
    name: 'a journal loses its folder .journal and is repaired',
    compress: 'none',
    damage: (run) => rmSync(join(run.folder, '.journal'), { recursive: true }),
  },
  { name: 'a power cut keeps pages from the disk', arePagesLost: true },
  { name: 'the first crash of a folder', isFirstCrash: true },
  {
    name: 'the volume comes back as another device',
    middle: async (run) => {
      const other = mkdtempSync(join(tmpdir(), 'sink-faults-volume-'));
      run.alsoRemove(other);
      if (statSync(other).dev === statSync(run.folder).dev) return;
      renameSync(run.folder, `${run.folder}.away`);
      run.clock.advance(1000);
      await run.settle();
      cpSync(`${run.folder}.away`, join(other, 'data'), { recursive: true });
      symlinkSync(join(other, 'data'), run.folder);
    },
  },
];

/** At least one of each damage that repair knows. */
function damageEverything(run: FaultRun): void {
  const segments = readdirSync(run.folder)
    .map((file) => parseSegmentFile(file))
    .filter((name) => name !== undefined)
    .sort((a, b) => a.number - b.number);
  const path = (index: number): string => join(run.folder, segments[index]!.file);
  const sidecar = (index: number): string => join(run.folder, '.journal', `${segments[index]!.base}.blocks`);
  const flip = (file: string, at: number): void => {
    const content = readFileSync(file);
    content[at]! ^= 0x10;
    writeFileSync(file, content);
  };
  flip(path(0), 150);
  truncateSync(path(1), Math.floor(statSync(path(1)).size / 2));
  rmSync(path(2));
  rmSync(sidecar(3));
  // Nothing is left of this one.
  truncateSync(path(4), 5);
  // Deleted, says the manifest, but it is still there.
  const manifest = join(run.folder, '.journal', 'manifest.jsonl');
  const last = readFileSync(manifest, 'utf8')
    .split('\n')
    .findLast((line) => line.startsWith(`{"segment":${segments[5]!.number},`))!;
  appendFileSync(manifest, `${last.replace('"closed"', '"deleted"')}\n`);
  flip(manifest, 3);
  // Empty files and one of another time with the number of a sound one; a segment begun after them.
  const next = segments.at(-1)!.number + 1;
  const named = (number: number): string =>
    join(run.folder, `telemetry-20261120T120000Z-${String(number).padStart(6, '0')}.jsonl`);
  writeFileSync(named(next), '');
  writeFileSync(join(run.folder, '.journal', basename(named(next)).replace('.jsonl', '.blocks')), '');
  writeFileSync(named(segments.at(-1)!.number), 'of another time\n');
  writeFileSync(named(next + 1), '{"sensor_name":"begun/0"}\n');
}

/** Another daemon on the same folder is turned away, and the first does not notice. */
async function openSecond(run: FaultRun): Promise<void> {
  const nothing = (): void => {};
  const events = {
    onRecovered: nothing,
    onSegmentOpened: nothing,
    onSegmentClosed: nothing,
    onSegmentEmpty: nothing,
    onSegmentLost: nothing,
    onHealth: nothing,
    onWritten: nothing,
    onSynced: nothing,
  };
  const limits = {
    rotateBytes: 6000,
    rotateIntervalMs: 0,
    syncIntervalMs: 200,
    durability: 'written' as const,
  };
  try {
    const second = await openJsonWriter(
      { filePath: run.folder, ...limits },
      { fileSystem: run.fileSystem, clock: run.clock, events },
    );
    await second.close();
  } catch {
    // As it should be; that the first one keeps its lines is what the end of the story checks.
  }
}

const HOUR_MS = 3_600_000;

/** The wall clock is set an hour on or back before each round in turn; segments rotate and age by it. */
export const CLOCK_STORIES: readonly Story[] = [HOUR_MS, -HOUR_MS].flatMap((jumpMs) =>
  [0, 1, 2, 3, 4, 5].map(
    (round): Story => ({
      name: `the clock is set ${jumpMs > 0 ? 'an hour on' : 'an hour back'} before round ${round}`,
      rotateIntervalMs: 60_000,
      retainAgeMs: 30 * 60_000,
      clockJumpsMs: { [round]: jumpMs },
    }),
  ),
);
