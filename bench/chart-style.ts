/** What the charts share: colours that follow the reader's light or dark setting, and how numbers are written in them. */
import { figure } from './figures.ts';

export const STYLE = `
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

/** `812k`, `2.1M`. */
export function short(rate: number): string {
  if (rate >= 1e6) return `${Number((rate / 1e6).toPrecision(2))}M`;
  return rate >= 1000 ? `${Number((rate / 1000).toPrecision(3))}k` : figure(rate);
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
