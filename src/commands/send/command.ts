/** `telemetry-sink send`: a fleet of simulated sensors, a load generator, and a way to send lines of one's own. */
import { command } from '../command.ts';
import { checkSend, deliveryOptions, paceOptions, reportOptions, whatOptions } from './options.ts';

export const sendCommand = command({
  name: 'send',
  summary: 'Simulate a fleet of sensors, generate load, or send JSON lines of your own',
  description:
    'Every request is repeated until the daemon acknowledges it, at the pace the daemon asks for, unless ' +
    'it is told that repeating is pointless. A repeat after an unclear failure (a broken connection, a ' +
    'deadline) can store readings twice; the summary counts these possible duplicates.\n\n' +
    'Progress goes to standard error, the summary to standard output. Ctrl-C ends gracefully and prints ' +
    'the summary; a second one ends at once.',
  examples: [
    { line: 'telemetry-sink send', help: '10,000 readings of 100 sensors, as fast as the daemon answers' },
    { line: 'telemetry-sink send --rate 50000 --duration 1m', help: '50,000 readings/s for a minute' },
    {
      line: 'telemetry-sink send -n 1000000 -c 50 --acknowledged-log acked.jsonl',
      help: 'a million over 50 connections, with a record of what was acknowledged',
    },
    {
      line: `echo '{"sensor_name":"boiler-1","sensor_value":42}' | telemetry-sink send --stdin`,
      help: 'one reading of your own, taken now',
    },
  ],
  exitStatuses: {
    0: 'everything was acknowledged',
    1: 'some readings were not delivered, or lines of standard input were faulty',
    2: 'could not start as told',
  },
  groups: { what: whatOptions, pace: paceOptions, delivery: deliveryOptions, report: reportOptions },
  check: checkSend,
  async run(config, io) {
    const { runSend } = await import('./run-send.ts');
    return runSend(config, io);
  },
});
