/** A line of the journal for human eyes: time, sensor, value, labels. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Columns that short names share, so that values stand below each other. */
const NAME_COLUMNS = 24;

export function readingText(line: string, isColour: boolean): string {
  const paint = (style: Style, text: string): string =>
    isColour ? styleText(style, text, { validateStream: false }) : text;
  let reading: Record<string, unknown>;
  try {
    reading = JSON.parse(line, keepDigits as (key: string, value: unknown) => unknown) as Record<
      string,
      unknown
    >;
  } catch {
    return paint('red', printable(line));
  }
  if (typeof reading !== 'object' || reading === null) return paint('red', printable(line));
  const time = timeText(reading.created_at ?? reading.received_at);
  const name = printable(String(reading.sensor_name ?? '?')).padEnd(NAME_COLUMNS);
  const parts = [paint('dim', time), paint('cyan', name), paint('bold', valueText(reading))];
  const labels = labelsText(reading.labels);
  if (labels !== '') parts.push(paint('dim', labels));
  return parts.join('  ');
}

/** int64 values have more digits than a number can hold: the text is kept. */
function keepDigits(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return key === 'sensor_value' && typeof value === 'number' ? (context?.source ?? value) : value;
}

function timeText(time: unknown): string {
  if (typeof time !== 'string') return '-'.padEnd(23);
  // Milliseconds are enough for eyes; the file has all nine digits.
  return printable(time).replace('T', ' ').replace('Z', '').slice(0, 23).padEnd(23);
}

function valueText(reading: Readonly<Record<string, unknown>>): string {
  for (const key of ['sensor_value', 'double_value', 'bool_value']) {
    const value = reading[key];
    if (value !== undefined && value !== null) return printable(String(value));
  }
  return typeof reading.string_value === 'string' ? printable(JSON.stringify(reading.string_value)) : '-';
}

function labelsText(labels: unknown): string {
  if (typeof labels !== 'object' || labels === null) return '';
  return Object.entries(labels)
    .map(([key, value]) => `${printable(key)}=${printable(String(value))}`)
    .join(' ');
}

/** Sensors choose their names; none may send commands to the terminal that looks at them. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
