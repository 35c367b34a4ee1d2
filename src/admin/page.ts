/**
 * The status page: one self-contained document. The policy allows exactly this script and this style,
 * by hash, and requests to its own origin, so nothing that slipped into the page could run or call out.
 */
import { createHash } from 'node:crypto';
import { PAGE_SCRIPT } from './page-script.ts';

const PAGE_STYLE = `
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #fff; --ink: #18202b; --dim: #5d6978; --line: #dde2e9;
  --accent: #1f6feb; --good: #1a7f4b; --warn: #a86400; --bad: #c62f3b; --flight: #6b8fd6; }
@media (prefers-color-scheme: dark) { :root { --paper: #0f141b; --card: #171e27; --ink: #e4e9f0; --dim: #94a1b3;
  --line: #2a3441; --accent: #5aa2ff; --good: #43b97f; --warn: #dfa43a; --bad: #f0646e; --flight: #6b8fd6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1.25rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
body.stale main { opacity: .45; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem .8rem; margin-bottom: 1rem; }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: .95rem; margin: 0; }
.dim, small { color: var(--dim); font-size: .85rem; overflow-wrap: anywhere; }
.pill { padding: .1rem .6rem; border-radius: 1rem; font-size: .8rem; font-weight: 600; color: var(--card); background: var(--dim); }
.pill.good { background: var(--good); } .pill.warn { background: var(--warn); } .pill.bad { background: var(--bad); }
#faults { flex-basis: 100%; margin: 0; padding: 0; list-style: none; }
#faults li { border-left: 4px solid var(--bad); background: var(--card); padding: .4rem .8rem; margin-top: .4rem; overflow-wrap: anywhere; }
main { display: grid; gap: 1rem; grid-template-columns: repeat(3, 1fr); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1rem; min-width: 0; }
.wide { grid-column: 1 / -1; }
@media (max-width: 48rem) { main { grid-template-columns: 1fr; } }
.top { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: .2rem .8rem; }
.rate { font-size: 2.6rem; font-weight: 650; line-height: 1.1; } .rate + span { margin-right: auto; }
svg { display: block; width: 100%; height: 7.5rem; margin-top: .5rem; border-bottom: 1px solid var(--line); }
#line { fill: none; stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
#area { fill: var(--accent); opacity: .16; }
.bar { height: .7rem; border-radius: .35rem; background: var(--line); overflow: hidden; margin: .5rem 0; }
.bar > i { display: block; height: 100%; width: 0; background: var(--accent); transition: width .3s; }
.stack { display: flex; height: 1rem; border-radius: .35rem; overflow: hidden; background: var(--line); margin: .4rem 0; gap: 1px; }
.stack > i { flex: 0 1 0; min-width: 2px; }
i.good { background: var(--good); } i.warn { background: var(--warn); } i.bad, .bar > i.bad { background: var(--bad); } i.flight { background: var(--flight); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; font-size: .85rem; color: var(--dim); }
.legend b { color: var(--ink); } .legend i { display: inline-block; width: .65rem; height: .65rem; border-radius: 2px; margin-right: .35rem; }
.books { display: grid; gap: .9rem; }
.thread { display: grid; grid-template-columns: 6rem minmax(4rem, 1fr) minmax(0, 2fr); gap: 0 .8rem; align-items: center; margin-top: .3rem; }
@media (max-width: 40rem) { .thread { grid-template-columns: 5rem 1fr; } .thread > :last-child { grid-column: 1 / -1; } }
summary { cursor: pointer; font-weight: 600; font-size: .95rem; }
table { border-collapse: collapse; margin-top: .6rem; font-size: .85rem; width: 100%; }
th { text-align: left; font-weight: 500; color: var(--dim); padding: .1rem 1rem .1rem 0; white-space: nowrap; } td { width: 100%; overflow-wrap: anywhere; }
`;

const gauge = (id: string, title: string, more: readonly string[]): string =>
  `<section><div class="top"><h2>${title}</h2><span class="dim" id="${id}-text"></span></div>` +
  `<div class="bar" id="${id}"><i></i></div>${more.map((line) => `<div class="dim" id="${line}"></div>`).join('')}</section>`;

const book = (id: string, title: string): string =>
  `<div><div class="top"><h2>${title} <span id="${id}-total"></span></h2><span class="pill" id="${id}-verdict"></span></div>` +
  `<div class="stack" id="${id}-bar"></div><div class="legend" id="${id}-legend"></div></div>`;

const MARKUP = `<header><h1>telemetry-sink</h1><span class="pill" id="phase">...</span><span class="dim" id="about"></span><ul id="faults"></ul></header>
<p id="login" hidden><label>Token <input id="token" type="password" autocomplete="off" spellcheck="false"></label> <button id="enter" type="button">Show</button></p>
<main>
<section class="wide"><div class="top"><span class="rate" id="rate">-</span><span>readings/s</span>
<span class="dim"><span id="requests"></span> &middot; <span id="connections"></span></span></div>
<svg viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-label="readings per second over the last two minutes"><polygon id="area"/><polyline id="line"/></svg>
<small id="peak"></small></section>
${gauge('queue', 'Queue', ['queue-more'])}
${gauge('disk', 'Journal', ['disk-more', 'segments'])}
${gauge('memory', 'Memory', ['memory-more'])}
<section class="wide books">${book('req', 'Requests received')}${book('rea', 'Readings decoded')}</section>
<section class="wide"><h2>Threads</h2><div id="threads"></div></section>
<section class="wide"><details><summary>Configuration</summary><table><tbody id="config"></tbody></table></details></section>
</main>
<noscript>This page needs JavaScript; the same facts are at <a href="/api/v1/status">/api/v1/status</a>.</noscript>`;

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export function statusPage(): { readonly html: string; readonly contentSecurityPolicy: string } {
  return {
    html:
      '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">' +
      // An empty icon, or browsers would ask for /favicon.ico.
      `<link rel="icon" href="data:,"><title>telemetry-sink</title><style>${PAGE_STYLE}</style></head>\n` +
      `<body>${MARKUP}\n<script>${PAGE_SCRIPT}</script></body></html>\n`,
    contentSecurityPolicy: [
      "default-src 'none'",
      `script-src ${hash(PAGE_SCRIPT)}`,
      `style-src ${hash(PAGE_STYLE)}`,
      "connect-src 'self'",
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
  };
}
