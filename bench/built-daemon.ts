/**
 * The daemon as it is shipped: JavaScript, built from the sources of this checkout into a folder of the benchmark's own. A
 * checkout runs its TypeScript, and what strips the types takes some 50 MiB in every run.
 */
import { execFile } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Returns the file to run. */
export async function buildDaemon(scratch: string): Promise<string> {
  const folder = join(scratch, 'package');
  await mkdir(folder);
  for (const name of ['node_modules', 'proto', 'package.json']) {
    await symlink(join(ROOT, name), join(folder, name));
  }
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')];
  await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  return join(folder, 'dist', 'main.js');
}
