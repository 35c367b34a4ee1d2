/** A process that writes to a journal until it is killed; says on stdout which batches were acknowledged. */
import { writeSync } from 'node:fs';
import { systemClock } from '../../src/base/clock.ts';
import { realFileSystem } from '../../src/journal/file-system.ts';
import { openJsonWriter } from '../../src/journal/json-writer.ts';
import type { JsonWriterOptions } from '../../src/journal/json-writer-events.ts';
import { DEFAULTS, makeBatch } from './journal-harness.ts';

const [folder, tag, durability] = process.argv.slice(2);
const ignore = (): void => {};
const writer = await openJsonWriter(
  {
    ...DEFAULTS,
    filePath: folder!,
    rotateBytes: 50_000,
    syncIntervalMs: 20,
    durability: durability as JsonWriterOptions['durability'],
  },
  {
    fileSystem: realFileSystem,
    clock: systemClock,
    events: {
      onRecovered: ignore,
      onSegmentOpened: ignore,
      onSegmentClosed: ignore,
      onSegmentEmpty: ignore,
      onSegmentLost: ignore,
      onHealth: ignore,
      onWritten: ignore,
      onSynced: ignore,
    },
  },
);
for (let i = 0; ; i++) {
  const id = `${tag}.${i}`;
  writer.append(makeBatch(id, 3, i % 700), (result) => {
    // Synchronous, so that what was acknowledged is told before anything else can happen.
    writeSync(1, `${result.ok ? 'ok' : 'refused'} ${id}\n`);
  });
  if (i % 3 === 0) {
    writer.flush();
    await new Promise(setImmediate);
  }
}
