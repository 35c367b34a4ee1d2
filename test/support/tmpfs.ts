/** A small file system of its own, for tests that need a disk to be full. Only root may mount. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requirement } from './requirements.ts';

const run = promisify(execFile);

function canMountTmpfs(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** False when this process may mount; otherwise the reason to skip. */
export function tmpfsRequirement(): string | false {
  return requirement('the right to mount a tmpfs', canMountTmpfs);
}

/** Mounts a tmpfs of `size` on an existing folder; the function returned takes it away again. */
export async function mountTmpfs(folder: string, size: string): Promise<() => Promise<void>> {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder]);
  return async () => {
    await run('umount', ['-l', folder]);
  };
}
