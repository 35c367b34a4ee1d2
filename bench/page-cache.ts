/**
 * What the machine takes to accept written bytes, before any program of ours has a say: CPU time per MiB of write() to
 * a new file, into memory that the kernel has not used lately, and into memory that it freed a moment ago.
 * On a virtual machine that hands free memory back to its host the first can be ten times the second, and then
 * it is the largest part of every figure of a server that writes a file.
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MiB } from '../src/base/byte-size.ts';
import { figure, rounded } from './figures.ts';

const FILE_MIB = 256;

export interface PageCacheCost {
  readonly fresh_ms_per_mib: number;
  readonly reused_ms_per_mib: number;
}

export function measurePageCache(folder: string, fileMiB = FILE_MIB): PageCacheCost {
  const file = join(folder, 'page-cache');
  const bytes = Buffer.alloc(MiB, 0x61);
  const msPerMiB = (): number => {
    const descriptor = openSync(file, 'w');
    const before = process.cpuUsage();
    for (let written = 0; written < fileMiB; written++) writeSync(descriptor, bytes);
    const { user, system } = process.cpuUsage(before);
    closeSync(descriptor);
    rmSync(file);
    return (user + system) / 1000 / fileMiB;
  };
  return { fresh_ms_per_mib: rounded(msPerMiB()), reused_ms_per_mib: rounded(msPerMiB()) };
}

export function pageCacheText({ fresh_ms_per_mib, reused_ms_per_mib }: PageCacheCost): string {
  return (
    `Writing a MiB to the page cache costs ${figure(fresh_ms_per_mib)} ms of CPU here into memory that was not in use lately and ` +
    `${figure(reused_ms_per_mib)} ms into memory freed a moment ago (${FILE_MIB} MiB each, before the runs); whoever writes a file pays it.`
  );
}
