/** The .env file: Node's own parser for the values, a scan of ours for the line each came from. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { errorMessage, SinkError, systemErrorCode } from '../base/errors.ts';

export interface EnvFileEntry {
  readonly text: string;
  /** From 1; 0 where the line could not be told. */
  readonly line: number;
}

export interface EnvFile {
  readonly path: string;
  readonly entries: ReadonlyMap<string, EnvFileEntry>;
  /** Numbers, from 1, of the lines that say nothing: neither NAME=value nor comment nor part of a quoted value. */
  readonly strayLines: readonly number[];
}

export function parseEnvFile(path: string, content: string): EnvFile {
  const lineOf = new Map<string, number>();
  const strayLines: number[] = [];
  /** The quote that a value of several lines began with. */
  let quote: string | undefined;
  for (const [index, line] of content.split('\n').entries()) {
    if (quote !== undefined) {
      if (line.includes(quote)) quote = undefined;
      continue;
    }
    const assignment = /^\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(.*)$/s.exec(line);
    if (assignment !== null) {
      const [, name, value] = assignment;
      lineOf.set(name!, index + 1);
      const opening = /^["'`]/.exec(value!)?.[0];
      if (opening !== undefined && !value!.slice(1).includes(opening)) quote = opening;
    } else if (!/^\s*(#|$)/.test(line)) {
      strayLines.push(index + 1);
    }
  }
  const entries = new Map<string, EnvFileEntry>();
  for (const [name, text] of Object.entries(parseEnv(content))) {
    entries.set(name, { text: text ?? '', line: lineOf.get(name) ?? 0 });
  }
  return { path, entries, strayLines };
}

/** The file at `path`; a missing one is only a fault when it was asked for by name. */
export function readEnvFile(path: string, mustExist: boolean): EnvFile | undefined {
  let content: string;
  try {
    // Editors on Windows put a mark before the first name.
    content = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    if (!mustExist && systemErrorCode(error) === 'ENOENT') return undefined;
    throw new SinkError('CONFIG_INVALID', `cannot read --dotenv ${path}: ${errorMessage(error)}`);
  }
  return parseEnvFile(path, content);
}
