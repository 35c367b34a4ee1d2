/** The archive thread: a SegmentArchiver that takes closed segments from the writer's port. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';
import { openArchiver } from '../../journal/archiver.ts';
import { realFileSystem } from '../../journal/file-system.ts';
import type { ClosedSegment } from '../../journal/manifest.ts';
import { EventLoopMonitor } from '../../observe/event-loop-delay.ts';
import type { ArchiverData, ArchiverEvent } from './journal-events.ts';
import { runWorker } from './worker-thread.ts';

const STATS_INTERVAL_MS = 2000;

await runWorker<undefined, ArchiverEvent>(async (emit) => {
  const { options, segments } = workerData as ArchiverData;
  const archiver = await openArchiver(options, {
    fileSystem: realFileSystem,
    clock: systemClock,
    events: {
      onArchived: () => emitStats(),
      onSettled: ({ number, suspect }) => {
        if (suspect) segments.postMessage(number);
      },
      onCompressed: (record, plainBytes, durationMs) => {
        emit({ kind: 'compressed', plainBytes, fileBytes: record.fileBytes, durationMs });
        emitStats();
      },
      onDeleted: (records) => {
        emit({ kind: 'deleted', count: records.length });
        emitStats();
      },
      onLowSpace: (freeBytes) => emit({ kind: 'space', isLow: true, freeBytes }),
      onSpace: (freeBytes) => emit({ kind: 'space', isLow: false, freeBytes }),
      onFault: (fault) => emit({ kind: 'fault', fault }),
    },
  });
  function emitStats(): void {
    emit({ kind: 'stats', stats: archiver.stats });
  }
  segments.on('message', (segment: ClosedSegment) => archiver.closed(segment));
  const monitor = new EventLoopMonitor();
  monitor.start(systemClock, (report) => emit({ kind: 'eventLoop', report }));
  const statsTimer = setInterval(emitStats, STATS_INTERVAL_MS);
  emitStats();
  return {
    ready: undefined,
    close: async () => {
      // The writer's last segment was posted before we were asked to close, on another port.
      for (
        let last = receiveMessageOnPort(segments);
        last !== undefined;
        last = receiveMessageOnPort(segments)
      ) {
        archiver.closed(last.message as ClosedSegment);
      }
      await archiver.close({ finishHashes: true });
      emitStats();
      clearInterval(statsTimer);
      monitor.stop();
      segments.close();
    },
  };
});
