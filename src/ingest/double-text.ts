/**
 * Doubles as proto3 JSON: the shortest decimal that reads back as the same bits, as JavaScript prints it, with the
 * three that JSON cannot express as strings and the sign of a negative zero kept.
 *
 * Most sensors send numbers with a few decimals. If a whole number n of at most 15 digits, divided by 10^k, gives d
 * (division rounds correctly), then n with the point k places in is a decimal that reads back as d. There is only one
 * decimal of at most 15 digits that does, so it is also the shortest, and no string has to be made. n can only be
 * d * 10^k to the nearest whole number, since that product is off by less than 0.3.
 */
import { writeSafeInteger } from './int64-text.ts';

/** More than the longest text (`-1.2345678901234567e-308`, 24 characters) and the overwrite of the integer writer. */
export const DOUBLE_ROOM = 48;

const ZERO = 0x30;
const POINT = 0x2e;
const MINUS = 0x2d;
const FIFTEEN_DIGITS = 1e15;
const MAX_DECIMALS = 6;
const POWERS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6] as const;

/** Writes at `pos` and returns where the text ends. */
export function writeDouble(view: DataView, pos: number, value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude < FIFTEEN_DIGITS) {
    for (let decimals = 0; decimals <= MAX_DECIMALS; decimals++) {
      const power = POWERS[decimals]!;
      const scaled = Math.floor(magnitude * power + 0.5);
      if (scaled >= FIFTEEN_DIGITS) break;
      if (scaled / power !== magnitude) continue;
      let at = pos;
      if (value < 0 || Object.is(value, -0)) view.setUint8(at++, MINUS);
      return decimals === 0 ? writeSafeInteger(view, at, scaled) : writeDecimal(view, at, scaled, decimals);
    }
  }
  return writeAnyDouble(view, pos, value);
}

/** The same for any double, by a string: for what is known to have more decimals than are tried above. */
export function writeAnyDouble(view: DataView, pos: number, value: number): number {
  return writeText(view, pos, Number.isFinite(value) ? String(value) : `"${value}"`);
}

function writeDecimal(view: DataView, pos: number, scaled: number, decimals: number): number {
  const power = POWERS[decimals]!;
  const whole = Math.floor(scaled / power);
  let rest = scaled - whole * power;
  const point = writeSafeInteger(view, pos, whole);
  view.setUint8(point, POINT);
  for (let at = point + decimals; at > point; at--) {
    const tens = (rest / 10) | 0;
    view.setUint8(at, ZERO + rest - tens * 10);
    rest = tens;
  }
  return point + 1 + decimals;
}

function writeText(view: DataView, pos: number, text: string): number {
  for (let at = 0; at < text.length; at++) view.setUint8(pos + at, text.charCodeAt(at));
  return pos + text.length;
}
