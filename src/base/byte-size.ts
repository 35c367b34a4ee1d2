/** Byte sizes as people write them: `4096`, `64KiB`, `4 MiB`, `1.5GiB`, `10MB`. */

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['k', KiB],
  ['kb', 1000],
  ['kib', KiB],
  ['m', MiB],
  ['mb', 1_000_000],
  ['mib', MiB],
  ['g', GiB],
  ['gb', 1_000_000_000],
  ['gib', GiB],
  ['t', 1024 * GiB],
  ['tb', 1_000_000_000_000],
  ['tib', 1024 * GiB],
]);

/** Whole bytes, or undefined when `text` is not a byte size. */
export function parseByteSize(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  if (match === null) return undefined;
  const unitBytes = UNIT_BYTES.get(match[2]!.toLowerCase());
  if (unitBytes === undefined) return undefined;
  const bytes = Math.round(Number(match[1]) * unitBytes);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact-looking form: `4MiB`, `1.5GiB`, `999B`. */
export function formatByteSize(bytes: number): string {
  for (const [unit, size] of [
    ['TiB', 1024 * GiB],
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ] as const) {
    if (bytes >= size) return `${Math.round((bytes / size) * 100) / 100}${unit}`;
  }
  return `${bytes}B`;
}
