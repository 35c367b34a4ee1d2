/** Adds up what runs went through, so that one sees that the simulation reaches things. */
import type { RunCounts, RunResult } from './simulate.ts';

export type Coverage = Record<string, number>;

/** Flat, with paths for names: `disk.powerLosses`. */
export function addCoverage(total: Coverage, counts: RunCounts): void {
  add(total, '', counts as unknown as Readonly<Record<string, unknown>>);
}

function add(total: Coverage, prefix: string, counts: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(counts)) {
    if (typeof value === 'number') total[prefix + name] = (total[prefix + name] ?? 0) + value;
    else add(total, `${prefix}${name}.`, value as Readonly<Record<string, unknown>>);
  }
}

export function coverageOf(results: readonly RunResult[]): Coverage {
  const total: Coverage = {};
  for (const { counts } of results) addCoverage(total, counts);
  return total;
}

export function coverageText(total: Coverage): string {
  return Object.entries(total)
    .map(([name, value]) => `  ${name.padEnd(34)} ${Math.round(value).toLocaleString('en').padStart(15)}`)
    .join('\n');
}
