/**
 * Picks the lines of some sensors. Lines begin with the sensor's name, so most are decided by comparing
 * bytes; only a name with an escape in it is worth parsing the line.
 */
import type { LineFilter } from './reader.ts';

const PREFIX = Buffer.from('{"sensor_name":"');
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export function sensorFilter(sensors: readonly string[]): LineFilter {
  const wanted = new Set(sensors);
  return (line) => {
    const name = plainName(line);
    return wanted.has(name ?? parsedName(line) ?? '');
  };
}

/** The name when it stands at the usual place without escapes. */
function plainName(line: Buffer): string | undefined {
  if (line.length < PREFIX.length || line.compare(PREFIX, 0, PREFIX.length, 0, PREFIX.length) !== 0) {
    return undefined;
  }
  const end = line.indexOf(QUOTE, PREFIX.length);
  if (end === -1) return undefined;
  const backslash = line.indexOf(BACKSLASH, PREFIX.length);
  if (backslash !== -1 && backslash < end) return undefined;
  return line.toString('utf8', PREFIX.length, end);
}

function parsedName(line: Buffer): string | undefined {
  try {
    const value = JSON.parse(line.toString()) as { sensor_name?: unknown } | null;
    return typeof value?.sensor_name === 'string' ? value.sensor_name : undefined;
  } catch {
    return undefined; // not ours to complain about; verify does
  }
}
