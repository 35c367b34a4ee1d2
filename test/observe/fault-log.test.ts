/** Repeated faults: the first at once, the rest as one line per interval, none uncounted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FaultLog, type FaultLogger } from '../../src/observe/fault-log.ts';
import { ManualClock } from '../support/manual-clock.ts';

interface Line {
  readonly level: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

function setUp(options: { intervalMs?: number; maxKinds?: number } = {}) {
  const lines: Line[] = [];
  const write = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) => {
    lines.push({ level, fields, message });
  };
  const logger: FaultLogger = { info: write('info'), warn: write('warn'), error: write('error') };
  const clock = new ManualClock();
  return { lines, clock, faults: new FaultLog(logger, clock, { intervalMs: 10_000, ...options }) };
}

test('the first is logged at once, repeats become one line at the end of the interval', () => {
  const { lines, clock, faults } = setUp();
  faults.report('disk', 'error', 'write failed', { code: 'ENOSPC' });
  assert.deepEqual(lines, [{ level: 'error', fields: { code: 'ENOSPC' }, message: 'write failed' }]);
  for (let index = 0; index < 5000; index++) faults.report('disk', 'error', 'write failed', { code: 'EIO' });
  assert.equal(lines.length, 1);
  clock.advance(10_000);
  assert.equal(lines.length, 2);
  assert.deepEqual(lines[1]?.fields, { code: 'EIO', repeats: 5000 });
  assert.match(lines[1]?.message ?? '', /^write failed \(5000 more within 10s\)$/);
  assert.equal(faults.repeatsTotal, 5000);
});

test('a quiet interval forgets the kind, so the next fault is logged at once, and no timer stays armed', () => {
  const { lines, clock, faults } = setUp();
  faults.report('disk', 'warn', 'slow');
  clock.advance(10_000);
  assert.equal(clock.armedTimers, 0);
  faults.report('disk', 'warn', 'slow again');
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['slow', 'slow again'],
  );
});

test('a flood that goes on costs one line per interval', () => {
  const { lines, clock, faults } = setUp();
  for (let tenth = 0; tenth < 600; tenth++) {
    faults.report('disk', 'warn', 'slow');
    clock.advance(100);
  }
  faults.close();
  assert.ok(lines.length <= 8, `${lines.length} lines for one minute`);
});

test('kinds beyond the limit share one kind', () => {
  const { lines, clock, faults } = setUp({ maxKinds: 3 });
  for (let kind = 0; kind < 1000; kind++) faults.report(`kind ${kind}`, 'warn', `fault ${kind}`);
  assert.equal(lines.length, 4);
  clock.advance(10_000);
  assert.equal(lines.length, 5);
  assert.equal(lines[4]?.fields.repeats, 996);
});

test('text from outside is escaped and cut', () => {
  const { lines, faults } = setUp();
  faults.report('bad name', 'warn', 'bad name \u001b[2J\nforged line', {
    sensor: `x\u0007${'y'.repeat(5000)}`,
  });
  assert.equal(lines[0]?.message, 'bad name \\u001b[2J\\nforged line');
  const sensor = String(lines[0]?.fields.sensor);
  assert.match(sensor, /^x\\u0007y+\.\.\. \(4802 more\)$/);
});

test('every report is in exactly one line, whatever the schedule', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 0, max: 7000 })), {
        maxLength: 100,
      }),
      (reports) => {
        const { lines, clock, faults } = setUp({ maxKinds: 2 });
        for (const [kind, pauseMs] of reports) {
          faults.report(kind, 'warn', kind);
          clock.advance(pauseMs);
        }
        faults.close();
        const told = lines.reduce(
          (sum, { fields }) => sum + ((fields.repeats as number | undefined) ?? 1),
          0,
        );
        assert.equal(told, reports.length);
        assert.equal(clock.armedTimers, 0);
      },
    ),
    { seed: 62 },
  );
});
