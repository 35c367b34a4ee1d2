/** The writer thread: a JsonWriter between the channels from the ingest threads and the port to the archiver. */
import { workerData } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';
import { realFileSystem } from '../../journal/file-system.ts';
import { openJsonWriter } from '../../journal/json-writer.ts';
import { EventLoopMonitor } from '../../observe/event-loop-delay.ts';
import { ChannelReceivers, type DrainedChannel } from '../../pipeline/channel-receiver.ts';
import type { WriterCommand, WriterData, WriterEvent } from './journal-events.ts';
import { summariseRecovery } from './recovery-summary.ts';
import { runWorker } from './worker-thread.ts';
import { WriterActivityLog } from './writer-activity.ts';

await runWorker<undefined, WriterEvent, WriterCommand>(async (emit) => {
  const { options, segments } = workerData as WriterData;
  const activity = new WriterActivityLog(systemClock, (report) =>
    emit({ kind: 'activity', activity: report }),
  );
  const writer = await openJsonWriter(options, {
    fileSystem: realFileSystem,
    clock: systemClock,
    events: {
      onRecovered: (report) => emit({ kind: 'recovered', recovery: summariseRecovery(report) }),
      onSegmentOpened: ({ number, file }) => {
        activity.opened(number, file);
        emit({ kind: 'segmentOpened' });
      },
      onSegmentClosed: (segment, cause) => {
        activity.ended(segment.number);
        segments.postMessage(segment);
        emit({ kind: 'segmentClosed', cause, suspect: segment.suspect });
      },
      onSegmentLost: (segment) => {
        activity.ended(segment.number);
        emit({ kind: 'segmentLost', segment });
      },
      onHealth: (health) => emit({ kind: 'health', health }),
      onWritten: (bytes, lines, durationMs) => activity.written(bytes, lines, durationMs),
      onSynced: (durationMs, bytes) => activity.synced(durationMs, bytes),
    },
  });
  const receivers = new ChannelReceivers(writer);
  const disconnects = new Map<number, () => void>();
  const monitor = new EventLoopMonitor();
  monitor.start(systemClock, (report) => emit({ kind: 'eventLoop', report }));
  return {
    ready: undefined,
    command: (command) => {
      const { id } = command;
      if (command.kind === 'disconnect') disconnects.get(id)?.();
      else {
        const onDrained = (channel: DrainedChannel): void => {
          disconnects.delete(id);
          emit({ kind: 'channelDrained', id, channel });
        };
        disconnects.set(id, receivers.add(command.batches, onDrained));
      }
    },
    close: async () => {
      await writer.close();
      monitor.stop();
      activity.flush();
      receivers.close();
      segments.close();
    },
  };
});
