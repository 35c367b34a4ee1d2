/**
 * The script of the status page, as text: it runs in a browser, so it is plain JavaScript. Everything
 * from the daemon enters the page through textContent or numbers, never as markup.
 */
export const PAGE_SCRIPT = `'use strict';
const POLL_MS = 1000, HISTORY = 120;
const $ = (id) => document.getElementById(id);
const text = (id, value) => { $(id).textContent = value; };
const history = [];
let last;

function el(tag, className, content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (content !== undefined) node.textContent = content;
  return node;
}
const exact = (n) => n.toLocaleString('en');
function count(n) {
  if (n < 10000) return n.toLocaleString('en', { maximumFractionDigits: n < 10 ? 1 : 0 });
  return Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(n);
}
function bytes(n) {
  if (n === null) return 'unknown';
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (n < 1024) return (n < 10 && unit !== 'B' ? n.toFixed(1) : Math.round(n)) + ' ' + unit;
    n /= 1024;
  }
  return n.toFixed(1) + ' TiB';
}
function span(seconds) {
  if (seconds === 0) return '0 s';
  if (seconds < 0.001) return Math.round(seconds * 1e6) + ' µs';
  if (seconds < 1) return (seconds * 1000).toPrecision(2) * 1 + ' ms';
  if (seconds < 60) return Math.round(seconds) + ' s';
  const m = Math.floor(seconds / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  return d > 0 ? d + ' d ' + (h % 24) + ' h' : h > 0 ? h + ' h ' + (m % 60) + ' min' : m + ' min';
}
const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);

function bar(id, used, capacity, warnAt) {
  const share = capacity > 0 ? Math.min(1, used / capacity) : 0;
  const fill = $(id).firstElementChild;
  fill.style.width = Math.max(share * 100, used > 0 ? 0.5 : 0) + '%';
  fill.className = share >= warnAt ? 'bad' : '';
}

function chart() {
  const width = 600, height = 120, peak = Math.max(1, ...history.map((h) => h.readings));
  const x = (i) => width - (history.length - 1 - i) * (width / (HISTORY - 1));
  const y = (v) => height - 3 - (v / peak) * (height - 12);
  const line = history.map((h, i) => x(i).toFixed(1) + ',' + y(h.readings).toFixed(1));
  $('line').setAttribute('points', line.join(' '));
  $('area').setAttribute('points', line.length ? x(0) + ',' + height + ' ' + line.join(' ') + ' ' + width + ',' + height : '');
  text('peak', history.length > 1 ? 'highest of the last two minutes: ' + count(peak < 2 && history.every((h) => !h.readings) ? 0 : peak) + '/s' : '');
}

function book(id, total, parts, difference) {
  const stack = $(id + '-bar'), legend = $(id + '-legend');
  stack.replaceChildren(); legend.replaceChildren();
  for (const [name, n, className] of parts) {
    if (n > 0) {
      const part = el('i', className);
      part.style.flexGrow = String(Math.max(n, total * 0.004));
      stack.append(part);
    }
    if (n > 0 || ['ok', 'written', 'in flight'].includes(name)) {
      const item = el('span'); item.append(el('i', className), name + ' ', el('b', '', exact(n)));
      legend.append(item);
    }
  }
  text(id + '-total', exact(total));
  const verdict = $(id + '-verdict');
  verdict.textContent = difference === 0 ? 'balanced' : 'difference ' + difference;
  verdict.className = difference === 0 ? 'pill good' : 'pill bad';
}
const reasons = (counts, word, className) =>
  Object.entries(counts).map(([reason, n]) => [word + ': ' + reason.replaceAll('_', ' '), n, className]);

function threads(list) {
  $('threads').replaceChildren(...list.map((t) => {
    const row = el('div', 'thread'), meter = el('div', 'bar'), fill = el('i');
    const loop = t.event_loop;
    fill.style.width = (loop ? loop.utilization * 100 : 0) + '%';
    if (!t.alive || (loop && loop.utilization > 0.9)) fill.className = 'bad';
    meter.append(fill);
    row.append(el('span', '', t.name), meter,
      el('span', 'dim', !t.alive ? 'ended' : loop ? Math.round(loop.utilization * 100) + '% busy, late by ' + span(loop.p99_seconds) + ' (99%), ' + span(loop.max_seconds) + ' at worst' : 'no report yet'));
    return row;
  }));
}

function show(s) {
  document.title = s.phase + ' - telemetry-sink';
  const failing = [...s.liveness, ...s.readiness].filter((c) => !c.ok);
  text('phase', failing.length && s.phase === 'serving' ? 'not ready' : s.phase);
  $('phase').className = 'pill ' + (failing.length === 0 && s.phase === 'serving' ? 'good' : failing.length ? 'bad' : 'warn');
  $('faults').replaceChildren(...failing.map((c) => el('li', '', c.check + ': ' + (c.reason || 'fails'))));
  text('about', 'version ' + s.version + ', up ' + span(s.uptime_seconds) + ', gRPC on ' + (s.addresses.grpc.join(' and ') || 'nothing yet'));

  const now = Date.parse(s.now), r = s.ledger.requests, d = s.ledger.readings;
  if (last && last.started !== s.started_at) { history.length = 0; last = undefined; }
  if (last && now > last.now) {
    const seconds = (now - last.now) / 1000;
    history.push({ readings: (d.decoded - last.decoded) / seconds, requests: (r.received - last.received) / seconds });
    if (history.length > HISTORY) history.shift();
    text('rate', count(history.at(-1).readings));
    text('requests', count(history.at(-1).requests) + ' requests/s');
  }
  last = { now, started: s.started_at, decoded: d.decoded, received: r.received };
  text('connections', count(s.connections) + (s.connections === 1 ? ' connection' : ' connections'));
  chart();

  const q = s.queue, j = s.journal, m = s.memory;
  bar('queue', q.used_bytes, q.capacity_bytes, 0.8);
  text('queue-text', bytes(q.used_bytes) + ' of ' + bytes(q.capacity_bytes));
  text('queue-more', count(q.used_batches) + ' batches, oldest waits ' + span(q.lag_seconds) + (q.waiting_requests ? ', ' + count(q.waiting_requests) + ' requests wait for room' : ''));
  if (j.free_bytes !== null) bar('disk', j.disk_bytes, j.disk_bytes + j.free_bytes, j.low_space ? 0 : 2);
  text('disk-text', bytes(j.disk_bytes) + ' used, ' + bytes(j.free_bytes) + ' free');
  text('disk-more', j.open_segment
    ? 'writing ' + j.open_segment.file + ' (' + count(j.open_segment.lines) + ' lines, ' + bytes(j.open_segment.bytes) + ')'
    : 'no open segment');
  text('segments', count(j.closed_segments) + ' closed segments' + (j.archive_backlog_segments ? ', ' + j.archive_backlog_segments + ' being archived' : '') + ', ' + bytes(j.unsynced_bytes) + ' not yet synced');
  bar('memory', m.resident_bytes, Math.max(m.limits_sum_bytes, m.resident_bytes), 2);
  text('memory-text', bytes(m.resident_bytes) + ' resident');
  text('memory-more', 'heap ' + bytes(m.heap_used_bytes) + ', bounded buffers at most ' + bytes(m.limits_sum_bytes));

  book('req', r.received, [['ok', r.ok, 'good'], ['in flight', r.in_flight, 'flight'], ...reasons(r.refused, 'refused', 'warn'), ...reasons(r.failed, 'failed', 'bad')], r.difference);
  book('rea', d.decoded, [['written', d.written, 'good'], ['deduplicated', d.deduplicated, 'flight'], ['in flight', d.in_flight, 'flight'], ...reasons(d.refused, 'refused', 'warn'), ...reasons(d.lost, 'lost', 'bad')], d.difference);
  threads(s.threads);

  const rows = Object.entries(s.config).map(([name, value]) => {
    const row = el('tr'); row.append(el('th', '', name), el('td', '', value)); return row;
  });
  $('config').replaceChildren(...rows);
}

// Kept for this tab alone and sent as a header: no cookie that other pages could make the browser send.
function askForToken(isNeeded) {
  $('login').hidden = !isNeeded;
}
function enter() {
  const token = $('token').value.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) return;
  sessionStorage.setItem('token', token);
  $('token').value = '';
  poll();
}
$('enter').addEventListener('click', enter);
$('token').addEventListener('keydown', (event) => { if (event.key === 'Enter') enter(); });

async function poll() {
  try {
    const token = sessionStorage.getItem('token');
    const headers = token ? { authorization: 'Bearer ' + token } : {};
    const response = await fetch('/api/v1/status', { headers, credentials: 'omit', signal: AbortSignal.timeout(5000) });
    const body = await response.json();
    askForToken(response.status === 401);
    if (!response.ok) throw new Error(body.error.message);
    document.body.classList.remove('stale');
    show(body);
  } catch (error) {
    document.body.classList.add('stale');
    text('phase', 'no answer'); $('phase').className = 'pill bad';
    $('faults').replaceChildren(el('li', '', String(error.message || error)));
  }
}
async function loop() {
  if (!document.hidden) await poll();
  setTimeout(loop, POLL_MS);
}
loop();
`;
