/**
 * Draws readings/s by readings per request from a result of bench/daemon.ts, for the README:
 *
 *   npm run bench:chart -- [bench/results/<date>-daemon.json]      the newest result when none is named
 *
 * Both axes are logarithmic, each dot is a median, each whisker runs from the least to the most. Colours follow the
 * reader's light or dark setting, and shapes differ too, so that it can be read without colours.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { figure, type Spread } from './figures.ts';
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

const STYLE = `
  .paper { fill: #ffffff; stroke: #d0d7de } .grid { stroke: #d8dee4 } text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .title { font-size: 16px; font-weight: 600 } .small { font-size: 11px; fill: #59636e } .end { text-anchor: end } .mid { text-anchor: middle }
  .s0 { --c: #0969da } .s1 { --c: #bc4c00 } .s2 { --c: #1a7f37 } .s3 { --c: #8250df } .s4 { --c: #9a6700 } .s5 { --c: #bf3989 }
  .line { stroke: var(--c); stroke-width: 1.5; fill: none; opacity: .55 } .whisker { stroke: var(--c); stroke-width: 1.5 } .dot { fill: var(--c) }
  .name { fill: var(--c); font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #3d444d } .grid { stroke: #2a313c } text { fill: #f0f6fc } .small { fill: #9198a1 }
    .s0 { --c: #4493f8 } .s1 { --c: #f0883e } .s2 { --c: #3fb950 } .s3 { --c: #ab7df8 } .s4 { --c: #d29922 } .s5 { --c: #db61a2 }
    .name { fill: var(--c) }
  }`;

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

/** `812k`, `2.1M`. */
function short(rate: number): string {
  if (rate >= 1e6) return `${Number((rate / 1e6).toPrecision(2))}M`;
  return rate >= 1000 ? `${Number((rate / 1000).toPrecision(3))}k` : figure(rate);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function newestResult(): string {
  const newest = readdirSync(RESULTS_FOLDER)
    .filter((name) => name.endsWith('-daemon.json'))
    .toSorted()
    .at(-1);
  if (newest === undefined) {
    console.error('no result of `npm run bench -- --write` in bench/results');
    process.exit(2);
  }
  return join(RESULTS_FOLDER, newest);
}

if (import.meta.filename === process.argv[1]) {
  const path = process.argv[2] ?? newestResult();
  const { machine, cells } = JSON.parse(readFileSync(path, 'utf8')) as {
    machine: { cpu: string; cores: number; node: string; commit: string; date: string };
    cells: readonly ChartCell[];
  };
  const caption = `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, commit ${machine.commit}, ${machine.date.slice(0, 10)}, ${basename(path)}`;
  const target = join(RESULTS_FOLDER, 'readings-per-second.svg');
  writeFileSync(target, chartOf(cells, caption));
  console.log(`written to ${target}`);
}
