/** One text into one value, for every type of option. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Option } from '../../src/base/option.ts';
import { acceptedText } from '../../src/config/accepted.ts';
import { parseOption } from '../../src/config/parse-option.ts';

const base = { help: 'Help', default: '' };
const size: Option = { ...base, type: 'bytes', min: 1024, max: 4096 };
const sizeOrOff: Option = { ...size, zero: 'off' };
const time: Option = { ...base, type: 'duration', min: 10, max: 60_000 };
const count: Option = { ...base, type: 'integer', min: 1, max: 10, unit: 'readings' };
const rate: Option = { ...base, type: 'number', min: 0.1, max: 10 };
const choice: Option = { ...base, type: 'enum', values: ['info', 'warn'], aliases: { warning: 'warn' } };
const address: Option = { ...base, type: 'address' };
const flag: Option = { ...base, type: 'boolean' };
const list: Option = { ...base, type: 'list' };
const path: Option = { ...base, type: 'path' };

function parsedOf(option: Option, text: string): unknown {
  const parsed = parseOption(option, text);
  assert.ok(parsed.ok, `${JSON.stringify(text)} ${parsed.ok ? '' : parsed.problem}`);
  return parsed.value;
}

function problemOf(option: Option, text: string): string {
  const parsed = parseOption(option, text);
  assert.ok(!parsed.ok, `${JSON.stringify(text)} was accepted`);
  return parsed.problem;
}

test('values of every type', () => {
  assert.equal(parsedOf(size, '2KiB'), 2048);
  assert.equal(parsedOf(size, '1024'), 1024);
  assert.equal(parsedOf(size, '4KiB'), 4096);
  assert.equal(parsedOf(sizeOrOff, '0'), 0);
  assert.equal(parsedOf(time, '1.5s'), 1500);
  assert.equal(parsedOf(count, ' 10 '), 10);
  assert.equal(parsedOf(rate, '0.5'), 0.5);
  assert.equal(parsedOf(rate, '1e1'), 10);
  assert.equal(parsedOf(choice, 'WARNING'), 'warn');
  assert.equal(parsedOf(choice, 'Info'), 'info');
  assert.deepEqual(parsedOf(address, '[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(parsedOf(list, 'a, b,,c'), ['a', 'b', 'c']);
  assert.equal(parsedOf(path, ''), '');
  for (const word of ['true', '1', 'yes', 'ON']) assert.equal(parsedOf(flag, word), true);
  for (const word of ['false', '0', 'no', 'Off']) assert.equal(parsedOf(flag, word), false);
});

test('what is wrong with a value is said in its own words', () => {
  assert.equal(problemOf(size, '12x'), 'is not a size');
  assert.equal(problemOf(size, '1023'), 'is too small');
  assert.equal(problemOf(size, '4097'), 'is too large');
  assert.equal(problemOf(size, '0'), 'is too small');
  assert.equal(problemOf(time, '5'), 'is a duration without a unit');
  assert.equal(problemOf(time, 'soon'), 'is not a duration');
  assert.equal(problemOf(time, '9ms'), 'is too small');
  assert.equal(problemOf(count, '1.5'), 'is not a whole number');
  assert.equal(problemOf(count, '0x5'), 'is not a whole number');
  assert.equal(problemOf(count, '99999999999999999999'), 'is not a whole number');
  assert.equal(problemOf(rate, 'NaN'), 'is not a number');
  assert.equal(problemOf(rate, '1e999'), 'is not a number');
  assert.equal(problemOf(choice, 'loud'), 'is not one of the choices');
  assert.equal(problemOf(address, 'localhost'), 'is not an address');
  assert.equal(problemOf(address, ':70000'), 'is not an address');
  assert.equal(problemOf(flag, 'maybe'), 'is neither true nor false');
  assert.equal(problemOf(path, 'a\0b'), 'is not a path');
});

test('what is accepted names the kind, the range and the meaning of 0', () => {
  assert.equal(acceptedText(size), 'a size such as 64KiB or 1.5GiB, 1KiB to 4KiB');
  assert.match(acceptedText(sizeOrOff), /1KiB to 4KiB; 0 = off$/);
  assert.equal(acceptedText(count), 'a whole number of readings, 1 to 10');
  assert.equal(acceptedText(choice), 'info, warn');
  assert.equal(
    acceptedText({ ...count, min: 0, max: Number.MAX_SAFE_INTEGER, zero: 'keep all' }),
    'a whole number of readings; 0 = keep all',
  );
});
