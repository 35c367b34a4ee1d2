/** A disk on which each sync takes longer than on the one at hand: network disks take milliseconds for it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const SOURCE = new URL('slow-sync.c', import.meta.url).pathname;

/** What to start a daemon with for that. Undefined where there is no Linux or no C compiler. */
export function slowSync(scratch: string, moreMs: number): Readonly<Record<string, string>> | undefined {
  if (process.platform !== 'linux') return undefined;
  const library = join(scratch, 'slow-sync.so');
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE, '-ldl'], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return { LD_PRELOAD: library, SLOW_SYNC_US: String(moreMs * 1000) };
}
