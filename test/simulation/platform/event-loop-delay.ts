/** In place of src/observe/event-loop-delay.ts: simulated event loops are never late by themselves. */
export const EVENT_LOOP_WINDOW_MS = 5000;

export class EventLoopMonitor {
  start(): void {}
  stop(): void {}
}
