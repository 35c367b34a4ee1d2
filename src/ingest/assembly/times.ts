/**
 * Timestamps as `2026-11-20T10:00:00.123456789` without the Z, by the calendar of src/ingest/timestamp-text.ts. The text
 * of the last second is kept, and of the last day.
 *
 * Invariant: SECOND holds the text of `second`, up to its point, whose day is `day`.
 */
import { writeNine } from './numbers.ts';

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z. */
export const MIN_SECONDS: i64 = -62_135_596_800;
export const MAX_SECONDS: i64 = 253_402_300_799;
export const MAX_NANOS: u32 = 999_999_999;

/** `YYYY-MM-DDTHH:MM:SS.`, 20 bytes. */
const SECOND: usize = memory.data(32);

const SECONDS_PER_DAY: i64 = 86_400;
const DAYS_TO_EPOCH: i64 = 719_468;
const DAYS_PER_400_YEARS: i64 = 146_097;
const DASH: u32 = 0x2d;
const COLON: u8 = 0x3a;
const POINT: u8 = 0x2e;
const LETTER_T: u32 = 0x54;

let second: i64 = i64.MIN_VALUE;
let day: i64 = i64.MIN_VALUE;

/** MIN_SECONDS <= seconds <= MAX_SECONDS and nanos <= MAX_NANOS. Returns where the text ends; 32 bytes may be touched. */
export function writeTimestamp(at: usize, seconds: i64, nanos: u32): usize {
  if (seconds !== second) setSecond(seconds);
  v128.store(at, v128.load(SECOND));
  store<u32>(at, load<u32>(SECOND, 16), 16);
  return writeNine(at + 20, nanos);
}

/** Two digits as a little-endian half-word. */
function pair(n: u32): u32 {
  return 0x3030 + n / 10 + ((n % 10) << 8);
}

function floorDivided(n: i64, by: i64): i64 {
  return n >= 0 ? n / by : (n - by + 1) / by;
}

function setSecond(seconds: i64): void {
  const newDay = floorDivided(seconds, SECONDS_PER_DAY);
  if (newDay !== day) setDay(newDay);
  const secondOfDay = <u32>(seconds - newDay * SECONDS_PER_DAY);
  const minuteOfDay = secondOfDay / 60;
  const hour = minuteOfDay / 60;
  store<u16>(SECOND, <u16>pair(hour), 11);
  store<u8>(SECOND, COLON, 13);
  store<u16>(SECOND, <u16>pair(minuteOfDay - hour * 60), 14);
  store<u8>(SECOND, COLON, 16);
  store<u16>(SECOND, <u16>pair(secondOfDay - minuteOfDay * 60), 17);
  store<u8>(SECOND, POINT, 19);
  second = seconds;
}

function setDay(newDay: i64): void {
  const shifted = newDay + DAYS_TO_EPOCH;
  const cycle = floorDivided(shifted, DAYS_PER_400_YEARS);
  const dayOfCycle = <i32>(shifted - cycle * DAYS_PER_400_YEARS);
  const leapDays = dayOfCycle / 1460 - dayOfCycle / 36_524 + dayOfCycle / 146_096;
  const yearOfCycle = (dayOfCycle - leapDays) / 365;
  const dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100);
  const monthFromMarch = (5 * dayOfYear + 2) / 153;
  const dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfCycle + <i32>cycle * 400 + (month <= 2 ? 1 : 0);
  const century = year / 100;
  store<u32>(SECOND, pair(century) | (pair(year - century * 100) << 16));
  store<u32>(SECOND, DASH | (pair(month) << 8) | (DASH << 24), 4);
  store<u32>(SECOND, pair(dayOfMonth) | (LETTER_T << 16), 8);
  day = newDay;
}
