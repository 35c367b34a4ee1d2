/** `telemetry-sink serve`: the daemon, from signal to signal. */
import { systemClock } from '../../base/clock.ts';
import { openLogger } from '../../observe/logger.ts';
import { command } from '../command.ts';
import { checkDaemonConfig, daemonGroups } from '../option-groups.ts';
import { collectWithoutHelpers } from './garbage-collection.ts';
import { onStopSignals } from './stop-signals.ts';

export const serveCommand = command({
  name: 'serve',
  summary: 'Run the daemon: receive readings over gRPC and append them to files',
  description:
    'Serves sensor.v1.SensorService, gRPC health and reflection, and appends every reading as one JSON line to the segment files in FILE_PATH.\n\n' +
    'SIGTERM or SIGINT drains: calls in flight are answered, everything is written and synced, and the last log line is the balance of the books. A second signal, from a second later on, stops at once.',
  groups: daemonGroups,
  check: checkDaemonConfig,
  exitStatuses: {
    0: 'stopped on a signal, everything drained',
    1: 'the drain was incomplete, or a fault of the daemon itself',
    2: 'could not start: an option, the port or the folder',
  },
  examples: [
    { line: 'telemetry-sink serve', help: 'listen on localhost:8000, write to ./data' },
    {
      line: 'telemetry-sink serve --grpc-server-socket :50051 --allow-plaintext --rotate-bytes 64MiB --compress zstd',
      help: 'listen on every interface, small compressed segments',
    },
    { line: 'ACK=synced telemetry-sink serve', help: 'OK only once the reading is on the disk' },
  ],
  async run(config) {
    collectWithoutHelpers();
    const log = await openLogger(config.observe);
    const { Daemon } = await import('./daemon.ts');
    const daemon = new Daemon(config, log, systemClock);
    const aborted = new Promise<number>((resolve) => {
      onStopSignals(process, systemClock, {
        onFirst: (signal) => daemon.stop(signal),
        onSecond: (signal) => void daemon.abort(`${signal} received again`).then(resolve),
      });
    });
    process.on('uncaughtException', (error) => daemon.fault(error));
    // A second signal ends a start as well: a recovery may take long.
    const exitStatus = await Promise.race([daemon.start().then(() => daemon.stopped), aborted]);
    await log.closeLogger();
    return exitStatus;
  },
});
