/** The writer thread: a JsonWriter between the channels from the ingest threads and the port to the archiver. */
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';
import { errorMessage } from '../../base/errors.ts';
import { realFileSystem } from '../../journal/file-system.ts';
import { openJsonWriter } from '../../journal/json-writer.ts';
import type { ClosedSegment } from '../../journal/manifest.ts';
import { CheckpointWriter } from '../../journal/producers/checkpoint-writer.ts';
import { ProducerGate } from '../../journal/producers/producer-gate.ts';
import { producersPage } from '../../journal/producers/producers-page.ts';
import { restoreProducers } from '../../journal/producers/restore.ts';
import { JOURNAL_FOLDER } from '../../journal/segment-name.ts';
import type { ProducersState } from '../../observe/daemon-state.ts';
import { EventLoopMonitor } from '../../observe/event-loop-delay.ts';
import { ChannelReceivers, type DrainedChannel } from '../../pipeline/channel-receiver.ts';
import type { WriterCommand, WriterData, WriterEvent } from './journal-events.ts';
import { summariseRecovery } from './recovery-summary.ts';
import { RunThread } from './run-thread.ts';
import { runWorker } from './worker-thread.ts';
import { WriterActivityLog } from './writer-activity.ts';

const NO_PRODUCERS: ProducersState = {
  known: 0,
  evicted: 0,
  deduplicatedReadings: 0,
  gaps: 0,
  waitingRequests: 0,
  waitingBytes: 0,
};

await runWorker<undefined, WriterEvent, WriterCommand>(async (emit) => {
  const { options, producers, segments } = workerData as WriterData;
  let gate: ProducerGate | undefined;
  const activity = new WriterActivityLog(
    systemClock,
    () => gate?.counts ?? NO_PRODUCERS,
    (report) => emit({ kind: 'activity', activity: report }),
  );
  const onProducersFault = (message: string): void => emit({ kind: 'producersFault', message });
  const folders = { folder: options.filePath, journalFolder: join(options.filePath, JOURNAL_FOLDER) };
  const checkpoints = new CheckpointWriter(
    realFileSystem,
    folders.journalFolder,
    {
      get size() {
        return gate?.counts.known ?? 0;
      },
      records: () => gate?.records() ?? [],
    },
    (error) => onProducersFault(`cannot write a checkpoint of the producers: ${errorMessage(error)}`),
  );
  const recovered: ClosedSegment[] = [];
  const runs =
    options.directWrites === 'off'
      ? undefined
      : RunThread.start((message) => emit({ kind: 'runsGone', message }));
  const writer = await openJsonWriter(options, {
    fileSystem: realFileSystem,
    clock: systemClock,
    ...(runs && { runs: runs.control }),
    events: {
      onRecovered: (report) => emit({ kind: 'recovered', recovery: summariseRecovery(report) }),
      onSegmentOpened: ({ number, file }) => {
        activity.opened(number, file);
        checkpoints.segmentOpened(number, file);
        emit({ kind: 'segmentOpened' });
      },
      onSegmentClosed: (segment, cause) => {
        activity.ended(segment.number);
        if (segment.suspect) checkpoints.segmentDoubted(segment.number, segment.file);
        else checkpoints.segmentEnded(segment.number, segment.file);
        if (gate === undefined) recovered.push(segment);
        segments.postMessage(segment);
        emit({ kind: 'segmentClosed', cause, suspect: segment.suspect });
      },
      onSegmentEmpty: ({ number, file }) => {
        activity.ended(number);
        checkpoints.segmentEnded(number, file);
      },
      onSegmentLost: (segment) => {
        activity.ended(segment.number);
        checkpoints.segmentEnded(segment.number, segment.file);
        emit({ kind: 'segmentLost', segment });
      },
      onHealth: (health) => emit({ kind: 'health', health }),
      onWritten: (bytes, lines, durationMs) => activity.written(bytes, lines, durationMs),
      onSynced: (durationMs, bytes) => activity.synced(durationMs, bytes),
    },
  });
  segments.on('message', (number: number) => checkpoints.segmentSettled(number));
  const restored = await restoreProducers(realFileSystem, folders, recovered, systemClock.nowMs());
  for (const fault of restored.faults) onProducersFault(fault);
  const theGate = new ProducerGate(producers, {
    writer,
    clock: systemClock,
    known: restored.producers,
    onCounted: () => activity.due(),
  });
  gate = theGate;
  const receivers = new ChannelReceivers(theGate);
  const disconnects = new Map<number, () => void>();
  const monitor = new EventLoopMonitor();
  monitor.start(systemClock, (report) => emit({ kind: 'eventLoop', report }));
  return {
    ready: undefined,
    command: (command) => {
      const { id } = command;
      if (command.kind === 'producers') {
        const page = producersPage(theGate.producers(), command.question);
        emit({ kind: 'producers', id, page });
      } else if (command.kind === 'disconnect') disconnects.get(id)?.();
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
      runs?.close();
      monitor.stop();
      activity.flush();
      receivers.close();
      segments.close();
    },
  };
});
