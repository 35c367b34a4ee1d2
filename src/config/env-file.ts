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
}

export function parseEnvFile(path: string, content: string): EnvFile {
  const lineOf = new Map<string, number>();
  for (const [index, line] of content.split('\n').entries()) {
    const name = /^\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=/.exec(line)?.[1];
    if (name !== undefined) lineOf.set(name, index + 1);
  }
  const entries = new Map<string, EnvFileEntry>();
  for (const [name, text] of Object.entries(parseEnv(content))) {
    entries.set(name, { text: text ?? '', line: lineOf.get(name) ?? 0 });
  }
  return { path, entries };
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
