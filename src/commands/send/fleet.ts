/**
 * The simulated sensors. What a sensor reads is a pure function of the plan and the reading's number,
 * so a checker can compute what must be in the journal:
 *
 *   int     the reading's number itself: (sensor_name, sensor_value) is unique
 *   double  a slow wave with noise, finite
 *   bool    noise
 *   string  one of a few states
 *   mixed   the four in turn, by number
 *
 * created_at is the request's time in milliseconds plus the number modulo 1,000,000 in nanoseconds:
 * whatever the value kind, the last six digits name the reading.
 */
import type { FleetPlan } from './plan.ts';
import { requestCount, requestShape } from './plan.ts';
import { labelFields, type ReadingValue, RequestEncoder, sensorNameField } from './request-encoder.ts';
import type { PreparedRequest, RequestSource } from './request-source.ts';
import type { Schedule } from './schedule.ts';

const STATES = ['ok', 'warming up', 'calibrating', 'überhitzt'] as const;
const NANOS_PER_MS = 1_000_000;

export function sensorName(plan: FleetPlan, sensor: number): string {
  const digits = Math.max(5, String(plan.sensors).length);
  return `${plan.sensorPrefix}${String(sensor + 1).padStart(digits, '0')}`;
}

/** 32 well-mixed bits of seed, sensor and number. */
function noise(seed: number, sensor: number, number: number): number {
  let bits = Math.imul(seed ^ 0x5bd1e995, 0x27d4eb2d) ^ Math.imul(sensor + 1, 0x9e3779b1);
  bits ^= Math.imul(number, 0x85ebca77);
  bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
  bits = Math.imul(bits ^ (bits >>> 13), 0x297a2d39);
  return (bits ^ (bits >>> 16)) >>> 0;
}

const MIXED_KINDS = ['int', 'double', 'bool', 'string'] as const;

export function simulatedValue(plan: FleetPlan, sensor: number, number: number): ReadingValue {
  const kind = plan.valueKind === 'mixed' ? MIXED_KINDS[number % 4]! : plan.valueKind;
  if (kind === 'int') return { kind, value: number };
  const bits = noise(plan.seed, sensor, number);
  switch (kind) {
    case 'double': {
      const level = 20 + (noise(plan.seed, sensor, 0) % 60);
      return { kind, value: level + 5 * Math.sin(number / 50) + bits / 0x1_0000_0000 };
    }
    case 'bool':
      return { kind, value: (bits & 1) === 1 };
    case 'string':
      return { kind, value: STATES[bits % STATES.length]! };
  }
}

/** The nanoseconds below the millisecond in created_at of reading `number`. */
export function createdAtNanos(number: number): number {
  return number % NANOS_PER_MS;
}

/**
 * The requests of one thread: indices thread, thread + threads, ... of the plan.
 * Invariant: each index below the plan's end is taken exactly once over all threads.
 */
export class FleetSource implements RequestSource {
  readonly totalReadings: number | undefined;
  onChange: (() => void) | undefined = undefined;

  readonly #plan: FleetPlan;
  readonly #schedule: Schedule;
  readonly #requests: number;
  readonly #threads: number;
  readonly #nowMs: () => number;
  readonly #encoder = new RequestEncoder();
  readonly #labels: Buffer;
  readonly #nameFields: Buffer[] = [];
  readonly #names: string[] = [];
  #index: number;

  constructor(
    plan: FleetPlan,
    schedule: Schedule,
    requestLimit: number,
    thread: number,
    threads: number,
    nowMs: () => number,
  ) {
    this.#plan = plan;
    this.#schedule = schedule;
    this.#requests = Math.min(requestCount(plan), requestLimit);
    this.#index = thread;
    this.#threads = threads;
    this.#nowMs = nowMs;
    this.#labels = labelFields(plan.labels);
    const readings = Math.min(plan.totalReadings, this.#requests * plan.readingsPerRequest);
    this.totalReadings = Number.isFinite(readings) ? readings : undefined;
  }

  get ready(): boolean {
    return this.#index < this.#requests;
  }

  get ended(): boolean {
    return !this.ready;
  }

  nextIntendedMs(): number {
    return this.#schedule.intendedMs(this.#index);
  }

  take(): PreparedRequest {
    const plan = this.#plan;
    const { sensor, first, count } = requestShape(plan, this.#index);
    this.#index += this.#threads;
    const nameField = this.#nameField(sensor);
    const createdAtMs = this.#nowMs();
    const seconds = Math.floor(createdAtMs / 1000);
    const milliseconds = createdAtMs - seconds * 1000;
    const encoder = this.#encoder;
    encoder.begin();
    for (let number = first; number < first + count; number++) {
      if (plan.valueKind === 'int') encoder.setInt(number);
      else encoder.setValue(simulatedValue(plan, sensor, number));
      encoder.append(nameField, seconds, milliseconds * NANOS_PER_MS + createdAtNanos(number), this.#labels);
    }
    const name = this.#names[sensor]!;
    if (plan.numbered) encoder.number(Buffer.from(plan.producerPrefix + name, 'utf8'), first);
    return {
      body: encoder.finish(),
      readings: count,
      identity: { sensor_name: name, first, count, created_at_ms: createdAtMs },
    };
  }

  #nameField(sensor: number): Buffer {
    const known = this.#nameFields[sensor];
    if (known !== undefined) return known;
    const name = sensorName(this.#plan, sensor);
    this.#names[sensor] = name;
    return (this.#nameFields[sensor] = sensorNameField(name));
  }
}
