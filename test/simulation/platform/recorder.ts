/** In place of src/observe/recorder.ts: metrics that nobody scrapes. */
export * from '../../../src/observe/recorder.ts';

const nothing = (): void => {};

export class Metrics {
  constructor() {
    // biome-ignore lint/correctness/noConstructorReturn: whatever is told, also what is yet to be invented, is dropped
    return new Proxy(this, { get: () => nothing });
  }
}
