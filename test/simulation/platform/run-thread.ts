/** In place of src/commands/serve/run-thread.ts: as on one core. A thread that waits for memory to change cannot be scheduled. */
export const RunThread = {
  start: (): undefined => undefined,
};
