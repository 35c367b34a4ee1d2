/**
 * Draws the comparison with the peers: one bar for each server, requests/s with 1 reading each on the left and readings/s
 * with 100 per request on the right. Each half has a linear scale of its own from 0, so that lengths may be compared
 * within a half; every bar carries its number and a whisker from least to most.
 */
import { escaped, round, STYLE, short } from '../chart-style.ts';
import type { Spread } from '../figures.ts';

export interface PeerChartCell {
  readonly name: string;
  readonly server: string;
  readonly readings_per_request: number;
  readonly requests_per_second: Spread;
  readonly readings_per_second: Spread;
}

const WIDTH = 760;
const TOP = 84;
const ROW = 40;
const BAR = 20;
const NAMES = 148;
const HALF = 236;
const GAP = 48;
/** For the number behind the longest bar. */
const NUMBER = 46;
const FOOT = 40;

const HALVES = [
  { readings: 1, title: 'requests/s, 1 reading each' },
  { readings: 100, title: 'readings/s, 100 per request' },
] as const;

/** What a bar's server does with what it gets: the comparison is not one without it. */
const NOTES: ReadonlyMap<string, string> = new Map([
  ['native', 'ours, to the journal'],
  ['grpc-js', 'ours, to the journal'],
  ['grpc-go', 'decodes only'],
  ['otel-collector', 'to a file'],
]);

export function peerChartOf(cells: readonly PeerChartCell[], caption: string): string {
  const servers = [...new Set(cells.map(({ server }) => server))];
  const height = TOP + servers.length * ROW + FOOT;
  const parts: string[] = [];
  for (const [row, server] of servers.entries()) {
    const y = TOP + row * ROW;
    parts.push(
      `<g class="s${row % 6}"><text class="name" x="20" y="${y + 11}">${escaped(server)}</text></g>`,
    );
    parts.push(`<text class="small" x="20" y="${y + 25}">${escaped(NOTES.get(server) ?? '')}</text>`);
  }
  for (const [half, { readings, title }] of HALVES.entries()) {
    const left = NAMES + half * (HALF + GAP);
    parts.push(`<text class="small" x="${left}" y="${TOP - 14}">${title}</text>`);
    // The cells with few requests in flight compare acknowledgements, not servers.
    const own = cells.filter((cell) => cell.name === `${cell.server}/${readings}`);
    const most = Math.max(...own.map((cell) => cell.readings_per_second.max));
    const width = (rate: number): number => round((rate / most) * (HALF - NUMBER + GAP / 2));
    for (const cell of own) {
      const row = servers.indexOf(cell.server);
      const y = TOP + row * ROW;
      const { median, min, max } = cell.readings_per_second;
      const middle = y + BAR / 2;
      parts.push(`<g class="s${row % 6}">`);
      parts.push(`<rect class="dot" x="${left}" y="${y}" width="${width(median)}" height="${BAR}" rx="2"/>`);
      parts.push(`<path class="range" d="M${left + width(min)} ${middle}H${left + width(max)}"/>`);
      parts.push('</g>');
      parts.push(`<text x="${left + width(max) + 8}" y="${middle + 4}">${short(median)}</text>`);
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="The daemon and its peers, each on one core">
<style>${STYLE}
  .range { stroke: #1f2328; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) { .range { stroke: #f0f6fc } }
</style>
<rect class="paper" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>
<text class="title" x="20" y="32">On one core, beside its peers</text>
<text class="small" x="20" y="50">median, line from least to most; ACK=accepted; each half has its own scale</text>
${parts.join('\n')}
<text class="small" x="20" y="${height - 14}">${escaped(caption)}</text>
</svg>
`;
}
