/** The smaller benchmarks, each once: they run, and print figures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasProc } from '../../bench/process-usage.ts';
import { requirement } from '../support/requirements.ts';
import { assertSpread, benchReport, runBench, type Spread } from './bench-run.ts';

test('the encoder against the ordinary way', async () => {
  const { status, stdout, stderr } = await runBench('line-encoder', ['1', '1']);
  assert.equal(status, 0, stderr);
  const rates = [...stdout.matchAll(/^simple, \d+ per request +([\d,]+)/gm)].map((match) =>
    Number(match[1]!.replaceAll(',', '')),
  );
  assert.equal(rates.length, 4);
  for (const rate of rates) assert.ok(rate > 0);
});

test('the admin endpoints by autocannon', async () => {
  const { paths } = await benchReport<{ paths: Record<string, Record<string, number>> }>('admin', [
    ...['--seconds', '1', '--connections', '2', '--paths', '/metrics,/healthz'],
  ]);
  assert.deepEqual(Object.keys(paths), ['/metrics', '/healthz']);
  for (const figures of Object.values(paths)) {
    assert.ok(figures.requests_per_second! > 0);
    assert.equal(figures.failed, 0);
  }
});

test('streams beside unary calls, in short turns', {
  skip: requirement('/proc', () => hasProc),
}, async () => {
  const { cells } = await benchReport<{ cells: readonly Record<string, unknown>[] }>('streams', [
    ...['--readings', '10', '--turns', '2', '--turn', '30ms', '--warm-up', '500ms', '--connections', '2'],
  ]);
  assert.deepEqual(
    cells.map(({ transport, readings }) => [transport, readings]),
    [['native', 10]],
  );
  for (const figures of ['unary_us', 'stream_us', 'unary_to_stream']) {
    assertSpread(cells[0]![figures] as Spread, figures);
  }
});

test('an attack, and what it costs the honest', async () => {
  const { attacks } = await benchReport<{
    attacks: readonly { attack: string; goodput: Spread; pairs: readonly { raiderConnections: number }[] }[];
  }>('hostile', [
    ...['--attack', 'rapid reset', '--duration', '300ms', '--maximum-duration', '200ms', '--pairs', '2'],
    // However it goes on the machine of a test.
    ...['--most', '1', '--connections', '2', '--raiders', '2', '--share', '0.1', '--steadiness', '0'],
  ]);
  assert.deepEqual(
    attacks.map(({ attack }) => attack),
    ['rapid reset'],
  );
  assertSpread(attacks[0]!.goodput, 'goodput');
  assert.ok(attacks[0]!.pairs.length === 1 || attacks[0]!.pairs.length === 2);
  assert.ok(attacks[0]!.pairs[0]!.raiderConnections >= 2, 'they came');
});

test('every benchmark explains its options', async () => {
  for (const script of ['daemon', 'latency', 'soak', 'streams', 'admin', 'hostile']) {
    const { status, stdout } = await runBench(script, ['--help']);
    assert.equal(status, 0);
    assert.match(stdout, /^npm run bench/);
    assert.match(stdout, /--write +Keep the report/);
  }
});
