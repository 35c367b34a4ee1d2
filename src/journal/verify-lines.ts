/**
 * Checks that bytes are whole lines of JSON objects, fast: a good block costs one JSON.parse. Only a bad
 * one is taken apart to find the line.
 */
import { isUtf8 } from 'node:buffer';
import { linesOf } from './segment-stream.ts';

const NEWLINE = 0x0a;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;

export interface BadLine {
  /** From 0, within the bytes checked. */
  readonly line: number;
  readonly offset: number;
  readonly why: string;
}

export function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}

/** The first line that is not a JSON object; undefined when all are. `bytes` ends with a newline. */
export function findBadLine(bytes: Buffer, lines: number): BadLine | undefined {
  if (lines === 0 || areObjects(bytes, lines)) return undefined;
  let line = 0;
  let offset = 0;
  for (const one of linesOf(bytes)) {
    const why = whatIsWrong(one);
    if (why !== undefined) return { line, offset, why };
    line++;
    offset += one.length;
  }
  return undefined;
}

/** Stands between lines in one big array. Random, so that no line can hold it by design. */
const SEPARATOR = 1e9 + Math.floor(Math.random() * 1e9);
const JOINT = `,${SEPARATOR}\n,`;

/**
 * All lines at once, as the elements of one array with a separator after each. A line that is not whole by
 * itself swallows a separator, and a string that runs over its end meets a newline: both show. Latin-1
 * makes one-byte strings, several times faster to make and parse than UTF-8; no JSON syntax is outside
 * ASCII, and isUtf8 looks at the rest.
 */
function areObjects(bytes: Buffer, lines: number): boolean {
  if (bytes[0] !== BRACE_OPEN || bytes[bytes.length - 2] !== BRACE_CLOSE || !isUtf8(bytes)) return false;
  let values: unknown[];
  try {
    const text = bytes.toString('latin1', 0, bytes.length - 1);
    values = JSON.parse(`[${text.replaceAll('\n', JOINT)}]`);
  } catch {
    return false;
  }
  if (values.length !== 2 * lines - 1) return false;
  for (let index = 0; index < values.length; index++) {
    if (index % 2 === 0 ? !isObject(values[index]) : values[index] !== SEPARATOR) return false;
  }
  return true;
}

function whatIsWrong(line: Buffer): string | undefined {
  if (!isUtf8(line)) return 'not valid UTF-8';
  try {
    return isObject(JSON.parse(line.toString())) ? undefined : 'not a JSON object';
  } catch {
    return line.length === 1 ? 'an empty line' : 'not JSON';
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
