/**
 * Compiles src/ingest/assembly/ to WebAssembly and keeps it as src/ingest/usual-lines-module.generated.ts, so that
 * neither a checkout nor the package needs a compiler to run.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { base64Module } from './base64-module.ts';
import type { GeneratedFile } from './generate-descriptors.ts';

const root = join(import.meta.dirname, '..');
/** Everything lies in it from the beginning: 64 KiB each. */
const MEMORY_PAGES = '3';

export function generateUsualLines(): GeneratedFile {
  const content = base64Module(compile(), {
    script: 'scripts/generate-usual-lines.ts',
    source: 'src/ingest/assembly/',
    name: 'USUAL_LINES_BASE64',
    comment: 'A WebAssembly module.',
  });
  return { path: 'src/ingest/usual-lines-module.generated.ts', content };
}

/** Without a runtime (nothing is allocated) and without assertions (nothing can be aborted). */
function compile(): Buffer {
  const compiler = join(root, 'node_modules/assemblyscript/bin/asc.js');
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-lines-'));
  const outFile = join(folder, 'lines.wasm');
  const args = ['src/ingest/assembly/lines.ts', '--outFile', outFile, '-O3', '--noAssert'];
  const memory = ['--initialMemory', MEMORY_PAGES, '--maximumMemory', MEMORY_PAGES];
  const runtime = ['--runtime', 'stub', '--enable', 'simd', '--enable', 'bulk-memory'];
  try {
    execFileSync(process.execPath, [compiler, ...args, ...memory, ...runtime], {
      cwd: root,
      stdio: 'inherit',
    });
    return readFileSync(outFile);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
