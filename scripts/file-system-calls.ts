/**
 * Every place in src that calls the journal's file system, found in the text: what `npm run test:faults`
 * must have broken at least once, and what docs/faults.md lists.
 *
 * A site is a call `fileSystem.method(...)`, or a call of one of the helpers of file-system.ts
 * (`readFully(fileSystem, ...)` and so on): then it stands for each method that helper calls.
 *
 * Invariants:
 * 1. The sources are formatted, so a declaration's indentation tells which function a call is in.
 * 2. A use of the file system in a form this reader does not know is an error, never passed over.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
export const DOOR_FILE = 'src/journal/file-system.ts';

export interface CallSite {
  readonly file: string;
  /** The function or method the call stands in. */
  readonly within: string;
  /** The call as it is written, on one line. */
  readonly call: string;
  /** Methods of FileSystem that it may call. */
  readonly methods: readonly string[];
  /** Of the callee's name, from 1, as in a stack trace. */
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
}

/** What stays the same while lines move. */
export function siteLabel(site: CallSite): string {
  return `${site.file} ${site.within}: ${site.call}`;
}

const METHOD_CALL = /\b(?:this\.#)?fileSystem\s*\.\s*(?<name>\w+)\(/dg;
const ANY_USE = /\bfileSystem\s*(?:\?\.|\.|\[)\s*\w*/g;
const TAKEN_APART = /\}\s*=\s*(?:this\.#|\w+\.)?fileSystem\b/;
const DECLARATION =
  /^(?: {2})?(?:export )?(?:static )?(?:async )?(?:function\*? ?|get )?\*?(?<name>#?\w+)(?:<[^>]*>)?\(/;
const NOT_A_DECLARATION = new Set(['if', 'for', 'while', 'switch', 'catch', 'return', 'test', 'describe']);

export function fileSystemCallSites(): readonly CallSite[] {
  const helpers = helperMethods();
  const sites: CallSite[] = [];
  for (const file of globSync('src/**/*.ts', { cwd: root }).sort()) {
    if (file === DOOR_FILE) continue;
    sites.push(...sitesIn(file, readFileSync(join(root, file), 'utf8'), helpers));
  }
  return numberTwins(sites);
}

/** Exported for its own test. */
export function sitesIn(
  file: string,
  text: string,
  helpers: ReadonlyMap<string, readonly string[]>,
): CallSite[] {
  const lines = text.split('\n');
  const found: CallSite[] = [];
  const add = (at: number, openParenthesis: number, methods: readonly string[]): void => {
    const end = closing(text, openParenthesis);
    const line = text.slice(0, at).split('\n').length;
    found.push({
      file,
      within: enclosing(lines, line),
      call: text
        .slice(at, end + 1)
        .replaceAll(/\s+/g, ' ')
        .replaceAll(/\( |,? \)|,(?=\))/g, (gap) => gap.replaceAll(/[, ]/g, '')),
      methods,
      line,
      column: at - text.lastIndexOf('\n', at - 1),
      endLine: text.slice(0, end).split('\n').length,
    });
  };
  let direct = 0;
  for (const match of text.matchAll(METHOD_CALL)) {
    direct++;
    add(match.indices!.groups!.name![0], match.index + match[0].length - 1, [match.groups!.name!]);
  }
  if (direct !== [...text.matchAll(ANY_USE)].length || TAKEN_APART.test(text)) {
    throw new Error(`${file}: uses the file system otherwise than by fileSystem.method(...)`);
  }
  for (const [helper, methods] of helpers) {
    for (const match of text.matchAll(new RegExp(`(?<!function )\\b${helper}\\(`, 'g'))) {
      add(match.index, match.index + match[0].length - 1, methods);
    }
  }
  return found.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** The functions of file-system.ts that take a file system, and the methods each ends up calling. */
export function helperMethods(): ReadonlyMap<string, readonly string[]> {
  const text = readFileSync(join(root, DOOR_FILE), 'utf8');
  const direct = new Map<string, { methods: Set<string>; body: string }>();
  for (const match of text.matchAll(
    /^export (?:async )?function (\w+)\(\s*fileSystem: FileSystem[\s\S]*?^\}/gm,
  )) {
    const methods = new Set([...match[0].matchAll(METHOD_CALL)].map(({ groups }) => groups!.name!));
    direct.set(match[1]!, { methods, body: match[0] });
  }
  for (const { methods, body } of direct.values()) {
    for (const [other, { methods: more }] of direct) {
      if (body.includes(`await ${other}(`)) for (const method of more) methods.add(method);
    }
  }
  return new Map([...direct].map(([name, { methods }]) => [name, [...methods]]));
}

function enclosing(lines: readonly string[], line: number): string {
  for (let index = line - 1; index >= 0; index--) {
    const name = DECLARATION.exec(lines[index]!)?.groups?.name;
    if (name !== undefined && !NOT_A_DECLARATION.has(name)) return name;
  }
  return 'the module';
}

/** Position of the parenthesis that closes the one at `open`. */
function closing(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '(') depth++;
    else if (text[at] === ')' && --depth === 0) return at;
  }
  throw new Error('a call without an end');
}

/** Two calls in one function that read the same are told apart by their order. */
function numberTwins(sites: readonly CallSite[]): CallSite[] {
  const seen = new Map<string, number>();
  return sites.map((site) => {
    const count = (seen.get(siteLabel(site)) ?? 0) + 1;
    seen.set(siteLabel(site), count);
    return count === 1 ? site : { ...site, call: `${site.call} (${count})` };
  });
}
