/**
 * Who may import whom, checked. Prints every violation and exits 1 when there is one.
 *
 *   node scripts/check-layers.ts
 *
 *  1. A room imports itself and rooms of a lower rank, never one of its own rank or above.
 *  2. A `config.ts` imports only base.
 *  3. A client library is imported in its own folder only.
 *  4. No import cycles, types included.
 *  5. No file longer than LINES_MAX without a reason.
 *  6. No file with a name that means nothing.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { importsOf } from './source-imports.ts';

/** Each row may import the rows above it. Rooms in one row do not know each other. */
const RANKS: readonly (readonly string[])[] = [
  ['base'],
  ['observe', 'config'],
  ['pipeline', 'journal', 'grpc'],
  ['ingest', 'destinations', 'admin'],
  ['commands'],
  ['main.ts'],
];

/** Third-party packages and the folders that may know them. One that is not here may not be imported. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  '@grpc/grpc-js': [
    'src/grpc/',
    'src/commands/send/',
    'src/commands/health/',
    'src/commands/channel-security.ts',
  ],
  '@grpc/proto-loader': ['src/grpc/', 'src/commands/send/'],
  '@grpc/reflection': ['src/grpc/'],
  'grpc-health-check': ['src/grpc/'],
  bottleneck: ['src/commands/send/'],
  commander: ['src/config/', 'src/main.ts'],
  'hdr-histogram-js': ['src/commands/send/'],
  pino: ['src/observe/'],
  'pino-pretty': ['src/observe/'],
  'pino-roll': ['src/observe/'],
  'prom-client': ['src/observe/'],
};

const LINES_MAX = 400;
/** Longer ones, each with its reason. */
const LONG_FILES: Readonly<Record<string, string>> = {};

const EMPTY_NAMES = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'shared', 'index']);

export interface Violation {
  readonly file: string;
  /** 0 for the file as a whole. */
  readonly line: number;
  readonly message: string;
}

/** Sources by path from the root, `src/base/clock.ts`, with `/` between the parts. */
export function checkLayers(sources: ReadonlyMap<string, string>): readonly Violation[] {
  const violations: Violation[] = [];
  const graph = new Map<string, readonly string[]>();
  for (const [file, text] of sources) {
    const report = (line: number, message: string): void => {
      violations.push({ file, line, message });
    };
    checkFile(file, text, report);
    const targets: string[] = [];
    for (const { specifier, line } of importsOf(text)) {
      const fault = specifier.startsWith('.')
        ? roomFault(file, posix.join(posix.dirname(file), specifier))
        : libraryFault(file, specifier);
      if (fault !== undefined) report(line, fault);
      if (specifier.startsWith('.')) targets.push(posix.join(posix.dirname(file), specifier));
    }
    graph.set(file, targets);
  }
  for (const cycle of findCycles(graph)) {
    violations.push({ file: cycle[0]!, line: 0, message: `import cycle: ${cycle.join(' -> ')}` });
  }
  return violations;
}

function checkFile(file: string, text: string, report: (line: number, message: string) => void): void {
  const name = posix.basename(file).replace(/\.(generated|d)?\.?ts$/, '');
  if (EMPTY_NAMES.has(name)) report(0, `the name "${name}" does not say what the file is for`);
  if (room(file) !== undefined && rankOf(room(file)!) === -1) {
    report(0, `room "${room(file)}" has no rank; add it to RANKS in scripts/check-layers.ts`);
  }
  const lines = text.split('\n').length - 1;
  const isExempt = LONG_FILES[file] !== undefined || file.endsWith('.generated.ts');
  if (lines > LINES_MAX && !isExempt) {
    report(0, `${lines} lines; split it, or give a reason in LONG_FILES of scripts/check-layers.ts`);
  }
}

/** `src/base/clock.ts` -> `base`; `src/main.ts` -> `main.ts`; outside src: undefined. */
function room(file: string): string | undefined {
  const parts = file.split('/');
  return parts[0] === 'src' ? parts[1] : undefined;
}

function rankOf(name: string): number {
  return RANKS.findIndex((rooms) => rooms.includes(name));
}

function roomFault(file: string, target: string): string | undefined {
  const from = room(file);
  const to = room(target);
  if (from === undefined) return undefined;
  if (to === undefined) return `imports ${target}, which is outside src`;
  if (!target.endsWith('.ts')) return `imports ${target} without its .ts ending`;
  if (posix.basename(file) === 'config.ts' && to !== 'base') {
    return `a config.ts imports only base, not ${target}`;
  }
  if (from === to) return undefined;
  if (rankOf(to) === rankOf(from))
    return `${from} and ${to} are of one rank and must not know each other (${target})`;
  if (rankOf(to) > rankOf(from)) return `${from} is below ${to} and must not import it (${target})`;
  return undefined;
}

function libraryFault(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) return undefined;
  const parts = specifier.split('/');
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!;
  if (posix.basename(file) === 'config.ts') return `a config.ts imports only base, not ${name}`;
  const folders = LIBRARIES[name];
  if (folders === undefined) return `${name} is not among LIBRARIES of scripts/check-layers.ts`;
  if (folders.some((folder) => file.startsWith(folder))) return undefined;
  return `${name} may be imported only in ${folders.join(', ')}`;
}

/** One cycle per knot, each starting at its first file in order of the map. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start !== -1) {
      cycles.push([...path.slice(start), file]);
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const target of graph.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return cycles;
}

export function readSources(root: string): ReadonlyMap<string, string> {
  const files = globSync('src/**/*.ts', { cwd: root }).map((file) => file.replaceAll('\\', '/'));
  return new Map(files.sort().map((file) => [file, readFileSync(join(root, file), 'utf8')]));
}

if (import.meta.filename === process.argv[1]) {
  const sources = readSources(dirname(import.meta.dirname));
  const violations = checkLayers(sources);
  for (const { file, line, message } of violations) {
    console.error(`${file}${line === 0 ? '' : `:${line}`}: ${message}`);
  }
  console.log(`layers: ${sources.size} files, ${violations.length} violations`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}
