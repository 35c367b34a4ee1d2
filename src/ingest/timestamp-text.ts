/**
 * Timestamps as `2026-11-20T10:00:00.123456789Z` without the Z. Readings of one request are mostly of the same day
 * and often of the same second, so the text of the last second is kept and only what changed is worked out anew.
 *
 * Invariant: the five words hold the text of the second #seconds (`YYYY-MM-DDTHH:MM:SS.`), whose day is #day.
 */
import { PAIRS, writeNineDigits } from './int64-text.ts';

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the range of google.protobuf.Timestamp. */
export const MIN_SECONDS = -62_135_596_800;
export const MAX_SECONDS = 253_402_300_799;
export const MAX_NANOS = 999_999_999;

/** Bytes that `write` may touch; the text has 29. */
export const TIMESTAMP_ROOM = 32;

const SECONDS_PER_DAY = 86_400;
const DASH = 0x2d;
const COLON = 0x3a;
const POINT = 0x2e;
const LETTER_T = 0x54;
/** Days from 0000-03-01 to 1970-01-01. Counting years from March puts the leap day at the end of the year. */
const DAYS_TO_EPOCH = 719_468;
const DAYS_PER_400_YEARS = 146_097;

export class TimestampText {
  #seconds = Number.NaN;
  #day = Number.NaN;
  /** 'YYYY' '-MM-' 'DDTH' 'H:MM' ':SS.' as little-endian words. */
  #word0 = 0;
  #word1 = 0;
  #word2 = 0;
  #word3 = 0;
  #word4 = 0;

  /** MIN_SECONDS <= seconds <= MAX_SECONDS and 0 <= nanos <= MAX_NANOS. Returns where the text ends. */
  write(view: DataView, pos: number, seconds: number, nanos: number): number {
    if (seconds !== this.#seconds) this.#setSecond(seconds);
    view.setInt32(pos, this.#word0, true);
    view.setInt32(pos + 4, this.#word1, true);
    view.setInt32(pos + 8, this.#word2, true);
    view.setInt32(pos + 12, this.#word3, true);
    view.setInt32(pos + 16, this.#word4, true);
    return writeNineDigits(view, pos + 20, nanos);
  }

  #setSecond(seconds: number): void {
    const day = Math.floor(seconds / SECONDS_PER_DAY);
    if (day !== this.#day) this.#setDay(day);
    const secondOfDay = seconds - day * SECONDS_PER_DAY;
    const minuteOfDay = (secondOfDay / 60) | 0;
    const hour = (minuteOfDay / 60) | 0;
    const hourDigits = PAIRS[hour]!;
    this.#word2 = (this.#word2 & 0x00ffffff) | ((hourDigits & 0xff) << 24);
    this.#word3 = (hourDigits >>> 8) | (COLON << 8) | (PAIRS[minuteOfDay - hour * 60]! << 16);
    this.#word4 = COLON | (PAIRS[secondOfDay - minuteOfDay * 60]! << 8) | (POINT << 24);
    this.#seconds = seconds;
  }

  #setDay(day: number): void {
    const shifted = day + DAYS_TO_EPOCH;
    const cycle = Math.floor(shifted / DAYS_PER_400_YEARS);
    const dayOfCycle = shifted - cycle * DAYS_PER_400_YEARS;
    // Take away the leap days before dayOfCycle (one per 1460 days, none per 36524, one per 146096), then divide.
    const leapDays = ((dayOfCycle / 1460) | 0) - ((dayOfCycle / 36_524) | 0) + ((dayOfCycle / 146_096) | 0);
    const yearOfCycle = ((dayOfCycle - leapDays) / 365) | 0;
    const dayOfYear = dayOfCycle - (365 * yearOfCycle + ((yearOfCycle / 4) | 0) - ((yearOfCycle / 100) | 0));
    // From March on, months of 31 and 30 days follow each other in a pattern of 153 days per five months.
    const monthFromMarch = ((5 * dayOfYear + 2) / 153) | 0;
    const dayOfMonth = dayOfYear - (((153 * monthFromMarch + 2) / 5) | 0) + 1;
    const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
    const year = yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0);
    const century = (year / 100) | 0;
    this.#word0 = PAIRS[century]! | (PAIRS[year - century * 100]! << 16);
    this.#word1 = DASH | (PAIRS[month]! << 8) | (DASH << 24);
    this.#word2 = PAIRS[dayOfMonth]! | (LETTER_T << 16);
    this.#day = day;
  }
}
