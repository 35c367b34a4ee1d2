/** What a seed stands for: the options of the daemon, the temper of the machine, and what happens when. */
import type { Random } from '../../src/base/random.ts';
import type { Habits } from './clients.ts';
import type { DiskFaults, DiskTemper } from './disk.ts';
import type { AckMode } from './oracle.ts';

export const FOLDER = '/simulated/journal';

const SOUND: DiskFaults = { write: 0, sync: 0, anything: 0 };

export type PhaseEnd = 'kill' | 'power' | 'drain' | 'kill at a change' | 'power at a change';

export interface Phase {
  readonly end: PhaseEnd;
  readonly durationMs: number;
  /** Then nobody sends for so long: the archiver, which looks every ten seconds, has the folder to itself. */
  readonly restMs: number;
  /** The change on the disk at which a crash 'at a change' comes, counted from the start of the process. */
  readonly change: number;
}

export interface Scenario {
  readonly env: Readonly<Record<string, string>>;
  /** Undefined: as `env` says. */
  readonly queueBytes: number | undefined;
  readonly ack: AckMode;
  readonly syncIntervalMs: number;
  readonly retains: boolean;
  readonly habits: Habits;
  readonly temper: DiskTemper;
  readonly latencyMs: number;
  readonly phases: readonly Phase[];
  readonly flaws: DiskFaults;
  /** Mean time between two mishaps that are no crash. */
  readonly mishapEveryMs: number;
}

/** `rests` are drawn from numbers of their own: seeds stay what they were before there were any. */
export function drawScenario(random: Random, rests: Random): Scenario {
  const pick = <T>(...choices: readonly T[]): T => choices[random.below(choices.length)]!;
  const ack = pick<AckMode>('accepted', 'written', 'written', 'synced', 'synced');
  const syncIntervalMs = pick(10, 50, 200, 1000);
  const retention = pick<Readonly<Record<string, string>>>(
    {},
    {},
    {},
    { RETAIN_FILES: String(1 + random.below(5)) },
    { RETAIN_AGE: pick('1s', '5s') },
  );
  const maxRequestBytes = pick(8, 64, 256) * 1024;
  const env: Record<string, string> = {
    FILE_PATH: FOLDER,
    GRPC_SERVER_SOCKET: 'localhost:8000',
    ADMIN_SOCKET: 'localhost:8001',
    INGEST_THREADS: String(pick(1, 2, 2, 3)),
    ACK: ack,
    MAX_REQUEST_BYTES: String(maxRequestBytes),
    BUFFER_SIZE: String(pick(3, 20, 100, 10_000)),
    BUFFER_BYTES: String(Math.min(pick(4, 16, 64) * 1024, maxRequestBytes)),
    BUFFER_FLUSH_INTERVAL: pick('5ms', '50ms', '1s'),
    QUEUE_BYTES: pick('1MiB', '1MiB', '4MiB'),
    QUEUE_ITEMS: String(pick(1, 4, 64, 1024)),
    QUEUE_FULL: pick('wait', 'wait', 'refuse'),
    QUEUE_WAIT_MAX: pick('50ms', '2s'),
    ROTATE_BYTES: String(pick(4, 8, 32, 128, 1024) * 1024),
    ROTATE_INTERVAL: pick('0', '0', '1s', '5s'),
    SYNC_INTERVAL: `${syncIntervalMs}ms`,
    COMPRESS: pick('none', 'none', 'gzip', 'zstd'),
    RATE_PER_SECOND: pick('0', '0', '0', '200KiB'),
    CLIENT_RATE_PER_SECOND: pick('0', '0', '0', '100KiB'),
    // Small, so that clients make room for each other.
    MAX_CLIENTS: '16',
    DIRECT_WRITES: pick('auto', 'auto', 'off'),
    DRAIN_DELAY: pick('0s', '0s', '50ms'),
    DRAIN_TIMEOUT: '60s',
    LOW_SPACE_BYTES: '0',
    ...retention,
  };
  const phases = Array.from({ length: 1 + random.below(4) }, (): Phase => {
    const end = pick<PhaseEnd>('kill', 'power', 'power', 'drain', 'kill at a change', 'power at a change');
    // Short lives see the start and its recovery; long ones the archiver's ticks.
    const durationMs = pick(5, 100, 400, 1000, 3000) * (0.5 + random.next());
    const change = 1 + random.below(pick(5, 20, 80, 200));
    return { end, durationMs, restMs: rests.below(8) === 0 ? 15_000 : 0, change };
  });
  return {
    env,
    queueBytes: pick(undefined, undefined, maxRequestBytes + 16 * 1024),
    ack,
    syncIntervalMs,
    retains: Object.keys(retention).length > 0,
    habits: {
      clients: 1 + random.below(4),
      producers: pick(0, 0, 0, 1, 2),
      window: pick(1, 4, 16),
      pauseMs: pick(undefined, undefined, 2, 20),
      readingsMax: pick(1, 3, 8, 30),
      textBytesMax: pick(0, 0, 0, 200, 200, 3000, 3000, 20_000),
      attemptsMax: 4,
      requestsPerLife: pick(10, 40, 120),
    },
    temper: {
      sectorBytes: pick(512, 4096),
      namesInOrder: random.below(2) === 0,
      typicalMs: pick(0.05, 0.5, 3),
      slowOneIn: pick(5, 50),
      slowMs: pick(20, 200, 1500),
      directStart: pick(undefined, 16 * random.below(32)),
    },
    latencyMs: pick(0.05, 1, 20),
    flaws: pick(
      SOUND,
      SOUND,
      SOUND,
      { write: 0.15, sync: 0, anything: 0 },
      { write: 0.02, sync: 0.05, anything: 0.002 },
    ),
    phases,
    mishapEveryMs: pick(Number.POSITIVE_INFINITY, 100, 500, 2000),
  };
}
