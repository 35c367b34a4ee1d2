/**
 * Draws results for the README: readings/s by readings per request, and the daemon beside its peers.
 *
 *   npm run bench:chart -- [bench/results/<date>-daemon.json]      the newest results when none is named
 *
 * Of the first, both axes are logarithmic, each dot is a median, each whisker runs from the least to the most. Colours follow the
 * reader's light or dark setting, and shapes differ too, so that it can be read without colours.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { escaped, round, STYLE, short } from './chart-style.ts';
import { figure, type Spread } from './figures.ts';
import { type PeerChartCell, peerChartOf } from './peers/chart.ts';
import { RESULTS_FOLDER } from './results.ts';

export interface ChartCell {
  readonly readings_per_request: number;
  readonly ack: string;
  readonly transport: string;
  readonly readings_per_second: Spread;
}

const WIDTH = 760;
const HEIGHT = 440;
const LEFT = 76;
const RIGHT = 168;
const TOP = 64;
const BOTTOM = 74;
/** Dots of different series beside each other rather than on each other. */
const SHIFT = 7;
const NAME_DISTANCE = 20;
/** Above the highest value, for its number. */
const HEADROOM = 1.8;

interface Series {
  readonly name: string;
  readonly cells: readonly ChartCell[];
}

export function chartOf(cells: readonly ChartCell[], caption: string): string {
  const series = seriesOf(cells);
  const batches = [...new Set(cells.map((cell) => cell.readings_per_request))].toSorted((a, b) => a - b);
  const bottom = 10 ** Math.floor(Math.log10(Math.min(...cells.map((cell) => cell.readings_per_second.min))));
  const top = Math.max(...cells.map((cell) => cell.readings_per_second.max)) * HEADROOM;
  const y = (rate: number): number =>
    round(HEIGHT - BOTTOM - (Math.log(rate / bottom) / Math.log(top / bottom)) * (HEIGHT - TOP - BOTTOM));
  const span = WIDTH - LEFT - RIGHT - 60;
  const x = (batch: number, index: number): number => {
    const step = batches.length > 1 ? span / (batches.length - 1) : 0;
    return round(LEFT + 30 + batches.indexOf(batch) * step + (index - (series.length - 1) / 2) * SHIFT);
  };

  const parts: string[] = [];
  for (let rate = bottom; rate <= top; rate *= 10) {
    parts.push(`<path class="grid" d="M${LEFT} ${y(rate)}H${WIDTH - RIGHT}"/>`);
    parts.push(`<text class="end" x="${LEFT - 8}" y="${y(rate) + 4}">${short(rate)}</text>`);
  }
  const middle = (series.length - 1) / 2;
  for (const batch of batches) {
    parts.push(
      `<text class="mid" x="${x(batch, middle)}" y="${HEIGHT - BOTTOM + 22}">${figure(batch)}</text>`,
    );
  }
  parts.push(...namesOf(series, y));
  for (const [index, { cells: own }] of series.entries()) {
    const at = own.map((cell) => ({ ...cell.readings_per_second, x: x(cell.readings_per_request, index) }));
    parts.push(`<g class="s${index % 6}">`);
    parts.push(
      `<path class="line" d="${at.map((dot, n) => `${n === 0 ? 'M' : 'L'}${dot.x} ${y(dot.median)}`).join('')}"/>`,
    );
    for (const dot of at) {
      parts.push(`<path class="whisker" d="M${dot.x} ${y(dot.min)}V${y(dot.max)}"/>`);
      parts.push(marker(index, dot.x, y(dot.median)));
    }
    parts.push('</g>');
  }
  for (const cell of labelled(series)) {
    const index = series.findIndex(({ cells: own }) => own.includes(cell));
    parts.push(
      `<text class="mid small" x="${x(cell.readings_per_request, index)}" y="${y(cell.readings_per_second.max) - 12}">${short(cell.readings_per_second.median)}</text>`,
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Readings per second by readings per request">
<style>${STYLE}
</style>
<rect class="paper" x=".5" y=".5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>
<text class="title" x="20" y="32">Readings per second, by readings per request</text>
<text class="small" x="20" y="50">median, whiskers from least to most; both axes logarithmic</text>
${parts.join('\n')}
<text class="mid small" x="${x(batches[0]!, middle) + span / 2}" y="${HEIGHT - BOTTOM + 40}">readings per request</text>
<text class="small" x="20" y="${HEIGHT - 14}">${escaped(caption)}</text>
</svg>
`;
}

/** Beside the end of the lines, in the order of the ends, as far apart as text has to be. */
function namesOf(series: readonly Series[], y: (rate: number) => number): readonly string[] {
  const ends = series
    .map(({ name, cells }, index) => ({ name, index, y: y(cells.at(-1)!.readings_per_second.median) }))
    .toSorted((a, b) => a.y - b.y);
  const centre = ends.reduce((sum, end) => sum + end.y, 0) / ends.length;
  return ends.map((end, place) => {
    const lineY = round(centre + (place - (ends.length - 1) / 2) * NAME_DISTANCE);
    const text = `<text class="name" x="${WIDTH - RIGHT + 24}" y="${lineY + 4}">${escaped(end.name)}</text>`;
    return `<g class="s${end.index % 6}">${marker(end.index, WIDTH - RIGHT + 12, lineY)}${text}</g>`;
  });
}

function seriesOf(cells: readonly ChartCell[]): readonly Series[] {
  const hasTransports = new Set(cells.map(({ transport }) => transport)).size > 1;
  const byName = new Map<string, ChartCell[]>();
  for (const cell of cells) {
    const name = hasTransports ? `${cell.transport}, ${cell.ack}` : `ACK=${cell.ack}`;
    const own = byName.get(name) ?? [];
    own.push(cell);
    byName.set(name, own);
  }
  return [...byName].map(([name, own]) => ({
    name,
    cells: own.toSorted((a, b) => a.readings_per_request - b.readings_per_request),
  }));
}

/** Numbers at every dot would lie on each other: the highest of each column carries one. */
function labelled(series: readonly Series[]): readonly ChartCell[] {
  const highest = new Map<number, ChartCell>();
  for (const cell of series.flatMap(({ cells }) => cells)) {
    const best = highest.get(cell.readings_per_request);
    if (best === undefined || cell.readings_per_second.median > best.readings_per_second.median) {
      highest.set(cell.readings_per_request, cell);
    }
  }
  return [...highest.values()];
}

function marker(index: number, x: number, y: number): string {
  const shape = index % 3;
  if (shape === 0) return `<circle class="dot" cx="${x}" cy="${y}" r="4.5"/>`;
  if (shape === 1) return `<rect class="dot" x="${x - 4}" y="${y - 4}" width="8" height="8"/>`;
  return `<path class="dot" d="M${x} ${y - 5.5}L${x + 5} ${y + 4}H${x - 5}Z"/>`;
}

interface Result {
  readonly machine: { cpu: string; cores: number; node: string; commit: string; date: string };
  readonly cells?: readonly ChartCell[];
  readonly peers?: { readonly cells: readonly PeerChartCell[] };
}

/** The newest result that holds what `wanted` looks for, by when it was measured: names of one day say no more than the day. */
function newestResult(wanted: 'cells' | 'peers'): string | undefined {
  return readdirSync(RESULTS_FOLDER)
    .filter((name) => /-(daemon|peers)\.json$/.test(name))
    .map((name) => join(RESULTS_FOLDER, name))
    .map((path) => ({ path, result: readResult(path) }))
    .filter(({ result }) => result[wanted] !== undefined)
    .toSorted((a, b) => Date.parse(a.result.machine.date) - Date.parse(b.result.machine.date))
    .at(-1)?.path;
}

function readResult(path: string): Result {
  return JSON.parse(readFileSync(path, 'utf8')) as Result;
}

function write(
  name: string,
  path: string | undefined,
  draw: (result: Result, caption: string) => string,
): void {
  if (path === undefined) return;
  const result = readResult(path);
  const { cpu, cores, node, commit, date } = result.machine;
  const caption = `${cpu}, ${cores} cores, Node ${node}, commit ${commit}, ${date.slice(0, 10)}, ${basename(path)}`;
  writeFileSync(join(RESULTS_FOLDER, name), draw(result, caption));
  console.log(`written to ${join(RESULTS_FOLDER, name)}`);
}

if (import.meta.filename === process.argv[1]) {
  const named = process.argv[2];
  const holding = (wanted: 'cells' | 'peers'): string | undefined =>
    named === undefined || readResult(named)[wanted] === undefined ? newestResult(wanted) : named;
  write('readings-per-second.svg', holding('cells'), ({ cells }, caption) => chartOf(cells!, caption));
  write('peers.svg', holding('peers'), ({ peers }, caption) => peerChartOf(peers!.cells, caption));
}
