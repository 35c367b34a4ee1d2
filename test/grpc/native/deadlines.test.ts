/** The wheel of deadlines against a plain list: each fires once, not before its time, not much later, or is taken back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Deadlines } from '../../../src/grpc/native/deadlines.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const TICK_MS = 10;

test('any deadlines, set, taken back and passed', () => {
  const step = fc.oneof(
    fc.record({ addMs: fc.oneof(fc.nat(50), fc.nat(30_000), fc.constant(86_400_000)) }),
    fc.record({ remove: fc.nat(30) }),
    fc.record({ advanceMs: fc.oneof(fc.nat(30), fc.nat(8000)) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new ManualClock();
      const deadlines = new Deadlines(clock);
      const entries: {
        dueMs: number;
        firedAtMs: number | undefined;
        isRemoved: boolean;
        entry: Parameters<Deadlines['add']>[0];
      }[] = [];
      const check = () => {
        const nowMs = clock.monotonicMs();
        for (const { dueMs, firedAtMs, isRemoved } of entries) {
          if (firedAtMs === undefined)
            assert.ok(isRemoved || nowMs < dueMs + 2 * TICK_MS, `due at ${dueMs}, now ${nowMs}`);
          else assert.ok(!isRemoved && firedAtMs >= dueMs && firedAtMs <= dueMs + 2 * TICK_MS);
        }
        assert.ok(clock.armedTimers <= 1);
        assert.equal(
          deadlines.count,
          entries.filter(({ firedAtMs, isRemoved }) => firedAtMs === undefined && !isRemoved).length,
        );
      };
      for (const step of steps) {
        if ('addMs' in step) {
          const known = {
            dueMs: clock.monotonicMs() + step.addMs,
            firedAtMs: undefined as number | undefined,
            isRemoved: false,
            entry: {
              dueTick: 0,
              position: -1,
              onDeadline: () => {
                assert.equal(known.firedAtMs, undefined, 'fired twice');
                known.firedAtMs = clock.monotonicMs();
              },
            },
          };
          entries.push(known);
          deadlines.add(known.entry, step.addMs);
        } else if ('remove' in step) {
          const known = entries[step.remove];
          if (known === undefined) continue;
          deadlines.remove(known.entry);
          if (known.firedAtMs === undefined) known.isRemoved = true;
        } else {
          clock.advance(step.advanceMs);
        }
        check();
      }
    }),
    { seed: 13, numRuns: 300 },
  );
});

test('one that fires may take back another of the same tick', () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const fired: string[] = [];
  const second = { dueTick: 0, position: -1, onDeadline: () => fired.push('second') };
  const first = {
    dueTick: 0,
    position: -1,
    onDeadline: () => {
      fired.push('first');
      deadlines.remove(second);
    },
  };
  deadlines.add(first, 20);
  deadlines.add(second, 20);
  clock.advance(1000);
  assert.deepEqual(fired, ['first']);
  assert.equal(clock.armedTimers, 0);
});

test('calls one after the other, each over before the next: one timer', () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  for (let i = 0; i < 100; i++) {
    const entry = { dueTick: 0, position: -1, onDeadline: () => assert.fail('taken back') };
    deadlines.add(entry, 5000);
    assert.equal(clock.armedTimers, 1);
    deadlines.remove(entry);
    if (i % 10 === 0) clock.advance(TICK_MS / 2);
  }
  clock.advance(10_000);
  assert.equal(clock.armedTimers, 0);
});
