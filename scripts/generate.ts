/**
 * Everything that is generated from the sources and kept in the repository.
 *
 *   node scripts/generate.ts           writes what is stale
 *   node scripts/generate.ts --check   exits 1 and names what is stale; a test does the same
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { SCHEMA_FILE, schemaTexts } from './chart-options.ts';
import { generateConfiguration } from './generate-configuration.ts';
import { type GeneratedFile, generateDescriptorSet } from './generate-descriptors.ts';
import { generateFaults } from './generate-faults.ts';
import { generateUsualLines } from './generate-usual-lines.ts';

const root = dirname(import.meta.dirname);

export async function generateAll(): Promise<readonly GeneratedFile[]> {
  const chartSchema = { path: relative(root, SCHEMA_FILE), content: (await schemaTexts()).fresh };
  const compiled = [generateDescriptorSet(), generateUsualLines()];
  return [...compiled, chartSchema, generateFaults(), ...(await generateConfiguration())];
}

export function isStale(file: GeneratedFile): boolean {
  try {
    return readFileSync(join(root, file.path), 'utf8') !== file.content;
  } catch {
    return true;
  }
}

if (import.meta.filename === process.argv[1]) {
  const stale = (await generateAll()).filter(isStale);
  const isCheck = process.argv.includes('--check');
  for (const file of stale) {
    if (!isCheck) {
      mkdirSync(dirname(join(root, file.path)), { recursive: true });
      writeFileSync(join(root, file.path), file.content);
    }
    console.log(`${file.path}: ${isCheck ? 'stale; run "npm run generate"' : 'written'}`);
  }
  if (stale.length === 0) console.log('generated files are fresh');
  process.exitCode = isCheck && stale.length > 0 ? 1 : 0;
}
