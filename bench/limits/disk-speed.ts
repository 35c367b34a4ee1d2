/** What the disk does by itself, with no daemon in front: the yardstick of ACK=synced. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { KiB, MiB } from '../../src/base/byte-size.ts';

/** What a group of small acknowledgements writes before its sync. */
const GROUP_BYTES = 64 * KiB;

export interface DiskSpeed {
  /** A write of 64 KiB to the end of a file and fdatasync, alone; the median. */
  readonly syncMs: number;
  /** Writing a file and syncing it, in one go. */
  readonly bytesPerSecond: number;
}

export function measureDisk(folder: string, syncs: number, fileMiB: number): DiskSpeed {
  const file = join(folder, 'disk-speed');
  const group = Buffer.alloc(GROUP_BYTES, 0x61);
  const times: number[] = [];
  let descriptor = openSync(file, 'w');
  for (let i = 0; i < syncs; i++) {
    const startedMs = performance.now();
    writeSync(descriptor, group);
    fdatasyncSync(descriptor);
    times.push(performance.now() - startedMs);
  }
  closeSync(descriptor);
  rmSync(file);
  const bytes = Buffer.alloc(MiB, 0x61);
  descriptor = openSync(file, 'w');
  const startedMs = performance.now();
  for (let written = 0; written < fileMiB; written++) writeSync(descriptor, bytes);
  fdatasyncSync(descriptor);
  const elapsedMs = performance.now() - startedMs;
  closeSync(descriptor);
  rmSync(file);
  return {
    syncMs: times.toSorted((a, b) => a - b)[times.length >> 1]!,
    bytesPerSecond: (fileMiB * MiB * 1000) / elapsedMs,
  };
}
