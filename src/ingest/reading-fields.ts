/**
 * The fields of one reading after all occurrences on the wire were merged: numbers and positions in the request,
 * reused from reading to reading. Strings are spans [start, end) that are not yet known to be valid UTF-8.
 */
import { LabelSpans } from './label-spans.ts';

export class ReadingFields {
  nameStart = 0;
  nameEnd = 0;

  hasSensorValue = false;
  sensorValueHi = 0;
  sensorValueLo = 0;

  hasDoubleValue = false;
  /** Where the eight bytes of the double lie. */
  doubleStart = 0;

  hasBoolValue = false;
  boolValue = false;

  hasStringValue = false;
  stringStart = 0;
  stringEnd = 0;

  hasCreatedAt = false;
  secondsHi = 0;
  secondsLo = 0;
  nanos = 0;

  readonly labels = new LabelSpans();

  reset(): void {
    this.nameStart = 0;
    this.nameEnd = 0;
    this.hasSensorValue = false;
    this.sensorValueHi = 0;
    this.sensorValueLo = 0;
    this.hasDoubleValue = false;
    this.hasBoolValue = false;
    this.hasStringValue = false;
    this.hasCreatedAt = false;
    this.secondsHi = 0;
    this.secondsLo = 0;
    this.nanos = 0;
    this.labels.reset();
  }
}
