/** The status page: self-contained, allowed by its own policy, and only reading what the status document has. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Script } from 'node:vm';
import { statusPage } from '../../src/admin/page.ts';
import { statusDocument } from '../../src/admin/status.ts';
import { SampleDaemon } from './sample-daemon.ts';

const { html, contentSecurityPolicy } = statusPage();
const between = (start: string, end: string): string => {
  const from = html.indexOf(start) + start.length;
  return html.slice(from, html.indexOf(end, from));
};
const script = between('<script>', '</script>');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64');

test('the policy allows exactly the script and the style in the page', () => {
  assert.ok(contentSecurityPolicy.includes(`script-src 'sha256-${sha256(script)}'`));
  assert.ok(contentSecurityPolicy.includes(`style-src 'sha256-${sha256(between('<style>', '</style>'))}'`));
  assert.ok(contentSecurityPolicy.startsWith("default-src 'none'"));
  assert.doesNotMatch(contentSecurityPolicy, /unsafe|\*/);
});

test('nothing comes from elsewhere, and nothing enters the page as markup', () => {
  assert.doesNotMatch(html, /https?:|src=|@import|url\(/);
  assert.doesNotMatch(html, / style=| on[a-z]+=/);
  assert.doesNotMatch(script, /innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(/);
});

test('the script is valid, and every element it names is in the page', () => {
  new Script(script);
  const ids = new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
  for (const [, id] of script.matchAll(/(?:\$|\btext|\bbar)\('([a-z-]+)'/g)) assert.ok(ids.has(id), id);
  for (const id of ['req', 'rea']) {
    for (const part of ['bar', 'legend', 'total', 'verdict']) assert.ok(ids.has(`${id}-${part}`));
  }
});

test('every field that the script reads is in the status document', () => {
  const document = statusDocument(new SampleDaemon(), ['127.0.0.1:9464'], Date.now());
  const sources: Record<string, object> = {
    s: document,
    q: document.queue,
    j: document.journal,
    m: document.memory,
    r: document.ledger.requests,
    d: document.ledger.readings,
    loop: document.threads[0]!.event_loop!,
    t: document.threads[0]!,
  };
  let read = 0;
  for (const [, name, field] of script.matchAll(/\b(s|q|j|m|r|d|loop|t)\.([a-z][a-z_0-9]+)\b/g)) {
    assert.ok(field! in sources[name!]!, `${name}.${field}`);
    read++;
  }
  assert.ok(read > 40, `${read} fields found`);
});
