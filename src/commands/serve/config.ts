/** Options of the stop: how long to go on serving after the signal, and how long the drain may take. */
import { type GroupValues, optionGroup } from '../../base/option.ts';

export const serveOptions = optionGroup({
  title: 'Stop',
  options: {
    drainDelayMs: {
      env: 'DRAIN_DELAY',
      type: 'duration',
      default: '0s',
      min: 0,
      max: 600_000,
      zero: 'none',
      help: 'Go on serving this long after NOT_SERVING, so that load balancers notice before calls are refused',
    },
    drainTimeoutMs: {
      env: 'DRAIN_TIMEOUT',
      type: 'duration',
      default: '30s',
      min: 100,
      max: 3_600_000,
      help: 'Finish calls, flush, sync and close within this long after a stop signal, else exit 1',
    },
  },
});

export type ServeConfig = GroupValues<typeof serveOptions>;
