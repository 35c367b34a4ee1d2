/**
 * Whether the journal can take lines, as readiness and logs want to know it: told on change only, and
 * found out again without traffic.
 *
 *   healthy ──fail()──▶ failing ──every second: probe──┐
 *      ▲                   ▲ │                         │
 *      │                   └─┼── no, or a fault since ─┤
 *      └─────────────────────┼──── yes ────────────────┘
 *                            └──stop()──▶ stopped: tells nothing more by itself
 *
 * Invariants:
 * 1. Only a probe turns health true, and only one during which no fault happened. A batch that happens to
 *    fit does not: on a nearly full disk small ones fit and large ones fail, and readiness would flap.
 * 2. One probe at a time.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { WriteFault } from './write-fault.ts';
import { writeFault } from './write-fault.ts';

const PROBE_INTERVAL_MS = 1000;

export type JournalHealth =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly reason: string };

/** Tries the disk: undefined when it is good, the fault or a rejection when it is not. */
export type Probe = () => Promise<WriteFault | undefined>;

export class HealthKeeper {
  readonly #clock: Clock;
  readonly #probe: Probe;
  readonly #onChange: (health: JournalHealth) => void;
  #health: JournalHealth = { ok: true };
  #faults = 0;
  #timer: Timer | undefined;
  #probing: Promise<void> | undefined;
  #stopped = false;

  constructor(clock: Clock, probe: Probe, onChange: (health: JournalHealth) => void) {
    this.#clock = clock;
    this.#probe = probe;
    this.#onChange = onChange;
  }

  get health(): JournalHealth {
    return this.#health;
  }

  fail(fault: WriteFault, probeDelayMs = PROBE_INTERVAL_MS): void {
    this.#faults++;
    this.#setFault(fault);
    this.#arm(probeDelayMs);
  }

  /** No more probes; resolves once the last one is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#probing;
  }

  #arm(delayMs: number): void {
    if (this.#timer !== undefined || this.#probing !== undefined || this.#stopped) return;
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#probing = this.#run().then(() => {
        this.#probing = undefined;
        if (!this.#health.ok) this.#arm(PROBE_INTERVAL_MS);
      });
    });
  }

  async #run(): Promise<void> {
    const faultsBefore = this.#faults;
    try {
      const fault = await this.#probe();
      if (fault !== undefined) this.#setFault(fault);
      else if (this.#faults === faultsBefore) this.#set({ ok: true });
    } catch (error) {
      this.#setFault(writeFault('write', error));
    }
  }

  #setFault(fault: WriteFault): void {
    this.#set({ ok: false, code: fault.code, reason: fault.message });
  }

  #set(health: JournalHealth): void {
    const before = this.#health;
    if (before.ok ? health.ok : !health.ok && health.code === before.code) return;
    this.#health = health;
    this.#onChange(health);
  }
}
