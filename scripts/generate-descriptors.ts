/**
 * Compiles what the server offers over reflection (our contract and gRPC health v1, with every import) into a
 * FileDescriptorSet and keeps it as src/grpc/descriptor-set.generated.ts, so that the daemon reads no .proto file.
 * buf does the compiling, because definitions that went through a JavaScript loader lose imports and map entries.
 *
 *   node scripts/generate-descriptors.ts           writes the file
 *   node scripts/generate-descriptors.ts --check   exits 1 when the file is stale
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { base64Module } from './base64-module.ts';

const root = join(import.meta.dirname, '..');

export interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly content: string;
}

export function generateDescriptorSet(): GeneratedFile {
  const content = base64Module(compileDescriptorSet(), {
    script: 'scripts/generate-descriptors.ts',
    source: 'proto/ and the health v1 contract',
    name: 'DESCRIPTOR_SET_BASE64',
    comment:
      'A google.protobuf.FileDescriptorSet: sensor.v1, grpc.health.v1 and what they import, dependencies first.',
  });
  return { path: 'src/grpc/descriptor-set.generated.ts', content };
}

function compileDescriptorSet(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'telemetry-sink-proto-'));
  try {
    cpSync(join(root, 'proto'), folder, { recursive: true });
    // Clients know the health contract by this path, which is part of its descriptor.
    cpSync(
      join(root, 'node_modules/grpc-health-check/proto/health/v1/health.proto'),
      join(folder, 'grpc/health/v1/health.proto'),
    );
    const args = [
      'build',
      folder,
      '--as-file-descriptor-set',
      '--exclude-source-info',
      '-o',
      '-#format=binpb',
    ];
    return execFileSync(join(root, 'node_modules/.bin/buf'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

if (process.argv[1] === import.meta.filename) {
  const { path, content } = generateDescriptorSet();
  if (!process.argv.includes('--check')) {
    writeFileSync(join(root, path), content);
  } else if (readIfThere(join(root, path)) !== content) {
    console.error(`${path} is stale: run node scripts/generate-descriptors.ts`);
    process.exitCode = 1;
  }
}
