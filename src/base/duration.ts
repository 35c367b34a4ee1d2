/** Durations as people write them: `500ms`, `5s`, `1m`, `1h30m`, `7d`; `0` needs no unit. */

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['µs', 0.001],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Milliseconds, or undefined when `text` is not a duration. A bare number other than 0 is refused: its unit would be a guess. */
export function parseDurationMs(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  if (!/^(\d+(\.\d+)?(us|µs|ms|s|m|h|d))+$/.test(trimmed)) return undefined;
  let totalMs = 0;
  for (const part of trimmed.matchAll(/(\d+(?:\.\d+)?)(us|µs|ms|s|m|h|d)/g)) {
    totalMs += Number(part[1]) * UNIT_MS.get(part[2]!)!;
  }
  return totalMs;
}

/** `1500` -> `1.5s`, `90000` -> `1m30s`, `0.25` -> `250us`. */
export function formatDurationMs(durationMs: number): string {
  if (durationMs === 0) return '0s';
  if (durationMs < 1) return `${Math.round(durationMs * 1000)}us`;
  if (durationMs < 1000) return `${Math.round(durationMs * 100) / 100}ms`;
  if (durationMs < 60_000) return `${Math.round(durationMs / 10) / 100}s`;
  let restS = Math.round(durationMs / 1000);
  let text = '';
  for (const [unit, seconds] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(restS / seconds);
    restS -= count * seconds;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}
