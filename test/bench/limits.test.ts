/** The targets beyond throughput in small: every one is measured, and the verdicts say what they should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeLimits } from '../../bench/limits/verdicts.ts';
import { requirement } from '../support/requirements.ts';
import { assertSpread, benchReport, type Spread } from './bench-run.ts';

interface Report {
  readonly limits: readonly {
    readonly name: string;
    readonly figure?: Spread;
    readonly met?: boolean;
    readonly text: string;
    readonly detail: string;
  }[];
}

const SIZES = [
  // A disk that others keep busy may sync nothing for half a second.
  { only: ['synced/64', 'synced-slow/64', 'memory/1'], duration: '2s' },
  { only: ['idle'], duration: '500ms' },
  { only: ['latency/100', 'threads-stream/1'], duration: '500ms' },
];

for (const { only, duration } of SIZES) {
  test(`measured: ${only.join(', ')}`, { skip: requirement('h2load') }, async () => {
    const { limits } = await benchReport<Report>('daemon', [
      ...['--limits', '--runs', '1', '--duration', duration, '--warm-up', '300ms', '--only', only.join(',')],
      ...['--many-connections', '20', '--idle-connections', '300'],
    ]);
    const measured = limits.filter(({ detail }) => detail !== '');
    assert.ok(measured.length >= only.length);
    for (const { name, figure, text } of measured) {
      if (figure === undefined) {
        // On fewer than four cores, or without a C compiler.
        assert.match(name, /^(threads-stream\/1|synced-slow\/64)$/);
        continue;
      }
      // What a few hundred connections cost may vanish in the noise of the rest.
      if (name !== 'idle/memory') assertSpread(figure, name);
      assert.match(text, /^met$|^MISSED, /);
    }
  });
}

test('the median is held against the target, from the right side', () => {
  const verdicts = judgeLimits([
    ...[0.7, 0.9, 0.85].map((figure) => ({ name: 'synced/64', figure, detail: `synced ${figure}` })),
    { name: 'synced/2048', figure: 0.4, detail: '' },
    ...[4, 7].map((figure) => ({ name: 'latency/1', figure, detail: `latency ${figure}` })),
    { name: 'memory/100', figure: 256, detail: '' },
    { name: 'threads/100', figure: Number.NaN, detail: 'needs four cores' },
  ]);
  const of = (name: string) => verdicts.find((verdict) => verdict.name === name)!;
  assert.equal(of('synced/64').met, true);
  assert.equal(of('synced/64').detail, 'synced 0.85');
  assert.equal(of('synced/2048').text, 'MISSED, by 50%');
  assert.equal(of('latency/1').text, 'MISSED, 1.1 times as much');
  assert.equal(of('memory/100').met, true);
  assert.equal(of('threads/100').text, 'not measured');
  assert.equal(of('threads/100').detail, 'needs four cores');
  assert.equal(of('idle/rate').met, undefined);
});
