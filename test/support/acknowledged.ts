/**
 * Holds what `send` was acknowledged (--acknowledged-log) against what lies in the journal: the proof
 * behind every "nothing is lost" test.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { allLines } from '../../src/journal/reader.ts';
import { linesOf } from '../../src/journal/segment-stream.ts';

export interface JournalCount {
  readonly lines: number;
  /** By sensor: how often reading n was found, at index n. */
  readonly found: ReadonlyMap<string, Uint8Array>;
  /** By sensor: created_at of reading n in whole milliseconds, at index n. */
  readonly createdAtMs: ReadonlyMap<string, Float64Array>;
  /** Lines whose created_at does not name the reading that sensor_value does. */
  readonly inconsistent: number;
}

/** Reads a whole journal of whole-number readings of the simulated fleet. */
export async function countJournal(folder: string, readingsPerSensor: number): Promise<JournalCount> {
  const found = new Map<string, Uint8Array>();
  const createdAtMs = new Map<string, Float64Array>();
  let lines = 0;
  let inconsistent = 0;
  for await (const chunk of allLines(folder)) {
    for (const line of linesOf(chunk)) {
      const { sensor_name, sensor_value, created_at } = JSON.parse(line.toString()) as {
        sensor_name: string;
        sensor_value: number;
        created_at: string;
      };
      lines++;
      let counts = found.get(sensor_name);
      if (counts === undefined) {
        counts = new Uint8Array(readingsPerSensor + 1);
        found.set(sensor_name, counts);
        createdAtMs.set(sensor_name, new Float64Array(readingsPerSensor + 1));
      }
      counts[sensor_value]!++;
      createdAtMs.get(sensor_name)![sensor_value] = Date.parse(`${created_at.slice(0, 23)}Z`);
      if (Number(created_at.slice(23, 29)) !== sensor_value % 1_000_000) inconsistent++;
    }
  }
  return { lines, found, createdAtMs, inconsistent };
}

export interface Acknowledged {
  readonly requests: number;
  readonly readings: number;
  /** Acknowledged and not in the journal; must be none. */
  readonly missing: readonly string[];
  /** In the journal more often than once although no attempt ended unclear. */
  readonly repeated: readonly string[];
  /** In the journal with another created_at than was sent. */
  readonly altered: readonly string[];
}

export async function checkAcknowledged(path: string, journal: JournalCount): Promise<Acknowledged> {
  const missing: string[] = [];
  const repeated: string[] = [];
  const altered: string[] = [];
  let requests = 0;
  let readings = 0;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { sensor_name, first, count, created_at_ms, maybe_twice } = JSON.parse(line) as {
      sensor_name: string;
      first: number;
      count: number;
      created_at_ms: number;
      maybe_twice: boolean;
    };
    requests++;
    readings += count;
    const counts = journal.found.get(sensor_name);
    const times = journal.createdAtMs.get(sensor_name);
    for (let number = first; number < first + count; number++) {
      const copies = counts?.[number] ?? 0;
      if (copies === 0) missing.push(`${sensor_name} ${number}`);
      else if (times?.[number] !== created_at_ms) altered.push(`${sensor_name} ${number}`);
      if (copies > 1 && !maybe_twice) repeated.push(`${sensor_name} ${number}`);
    }
  }
  return { requests, readings, missing, repeated, altered };
}
