/**
 * What of the production code's surroundings is replaced, module by module; all else runs as it is. Imported
 * before anything of src/, since a module that was loaded is not replaced any more.
 */
import { registerHooks } from 'node:module';

const SOURCE = new URL('../../src/', import.meta.url).href;
const PLATFORM = new URL('./platform/', import.meta.url).href;

interface Replacement {
  /** As it resolves: `node:zlib`, or a path in src/. */
  readonly module: string;
  readonly by: string;
  /** Only for importers whose path in src/ begins, or ends, like this. */
  readonly within?: string;
  readonly importer?: RegExp;
}

const REPLACEMENTS: readonly Replacement[] = [
  { module: 'base/clock.ts', by: 'clock.ts' },
  { module: 'journal/file-system.ts', by: 'file-system.ts' },
  { module: 'journal/folder-lock.ts', by: 'folder-lock.ts' },
  { module: 'node:fs/promises', by: 'fs-promises.ts', within: 'journal/' },
  { module: 'node:crypto', by: 'crypto.ts' },
  { module: 'node:zlib', by: 'zlib.ts', within: 'journal/' },
  { module: 'node:worker_threads', by: 'worker-threads.ts' },
  { module: 'commands/serve/worker-thread.ts', by: 'worker-entry.ts', importer: /-worker\.ts$/ },
  { module: 'commands/serve/run-thread.ts', by: 'run-thread.ts' },
  { module: 'grpc/create-server.ts', by: 'create-server.ts' },
  { module: 'grpc/listeners.ts', by: 'listeners.ts', within: 'commands/' },
  { module: 'admin/http-server.ts', by: 'admin-server.ts' },
  { module: 'journal/json-writer.ts', by: 'json-writer.ts', importer: /writer-worker\.ts$/ },
  { module: 'journal/segment-scan.ts', by: 'segment-scan.ts', importer: /recovery\.ts$/ },
  { module: 'journal/producers/producer-numbers.ts', by: 'producer-numbers.ts' },
  { module: 'journal/producers/restore.ts', by: 'restore.ts' },
  { module: 'observe/event-loop-delay.ts', by: 'event-loop-delay.ts' },
  { module: 'observe/recorder.ts', by: 'recorder.ts' },
];

registerHooks({
  resolve(specifier, context, nextResolve) {
    const importer = context.parentURL;
    if (importer?.startsWith(SOURCE) === true) {
      const replacement = find(specifier, importer);
      // The replaced journal/file-system.ts goes on using the real file system: nobody calls it.
      if (replacement !== undefined) return nextResolve(PLATFORM + replacement.by, context);
    }
    return nextResolve(specifier, context);
  },
});

function find(specifier: string, importer: string): Replacement | undefined {
  const isRelative = specifier.startsWith('.');
  const module = isRelative ? new URL(specifier, importer).href : specifier;
  if (isRelative && !module.startsWith(SOURCE)) return undefined;
  const path = isRelative ? module.slice(SOURCE.length) : module;
  const importerPath = importer.slice(SOURCE.length);
  return REPLACEMENTS.find(
    (candidate) =>
      candidate.module === path &&
      importerPath.startsWith(candidate.within ?? '') &&
      (candidate.importer?.test(importerPath) ?? true) &&
      importerPath !== 'journal/file-system.ts',
  );
}
