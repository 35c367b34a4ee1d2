/** A folder for everything that a benchmark writes; it goes away however the benchmark ends. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function makeScratch(parent: string): string {
  const within = parent === '' ? tmpdir() : parent;
  if (!existsSync(within)) mkdirSync(within, { recursive: true });
  const folder = mkdtempSync(join(within, 'telemetry-sink-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  return folder;
}
