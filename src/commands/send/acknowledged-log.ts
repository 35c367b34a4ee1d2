/**
 * The acknowledged log: one JSON line per request whose OK arrived, so that a checker can prove after a
 * crash that no acknowledged reading is missing from the journal.
 *
 *   {"sensor_name":"sensor-00001","first":101,"count":100,"created_at_ms":1795168800123,"attempts":1,"maybe_twice":false}
 *   {"first_line":1,"last_line":100,"count":100,"attempts":2,"maybe_twice":true}          with --stdin
 *
 * With whole-number values, reading n of a sensor has sensor_value n and
 * created_at = created_at_ms + (n mod 1,000,000) ns. `maybe_twice`: an earlier attempt ended without a
 * clear answer, so a second copy in the journal is no fault of the daemon.
 *
 * Invariants:
 *   1. A line is written only after the OK; it may be missing for an OK that came in the process's last
 *      moments, never the other way round.
 *   2. Lines go out once per turn of the event loop, in one write to a file opened for append: whole
 *      lines even with several threads, and in the operating system's hands should this process be killed.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { errorMessage, SinkError } from '../../base/errors.ts';
import type { RequestIdentity } from './request-source.ts';

export type AcknowledgedRequest = RequestIdentity & {
  readonly attempts: number;
  readonly maybe_twice: boolean;
};

export class AcknowledgedLog {
  readonly #descriptor: number;
  #pending = '';

  constructor(path: string) {
    try {
      this.#descriptor = openSync(path, 'a');
    } catch (error) {
      throw new SinkError('USAGE', `--acknowledged-log ${path}: ${errorMessage(error)}`);
    }
  }

  append(request: AcknowledgedRequest): void {
    if (this.#pending === '') setImmediate(() => this.flush());
    this.#pending += `${JSON.stringify(request)}\n`;
  }

  flush(): void {
    if (this.#pending === '') return;
    const lines = Buffer.from(this.#pending);
    this.#pending = '';
    for (let offset = 0; offset < lines.length; ) {
      offset += writeSync(this.#descriptor, lines, offset);
    }
  }

  close(): void {
    this.flush();
    closeSync(this.#descriptor);
  }
}

/** Reads a log back. A last line without its end, from a killed sender, is left out. */
export function readAcknowledgedLog(path: string): AcknowledgedRequest[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop();
  return lines.map((line) => JSON.parse(line) as AcknowledgedRequest);
}
