/** A daemon's state that tests and the admin benchmark can set as they like: real books, real metrics. */

import type { StatusSource } from '../../src/admin/status-source.ts';
import { bindHosts } from '../../src/base/listen-address.ts';
import { readBuildInfo } from '../../src/observe/build-info.ts';
import type { Check, JournalState, QueueState, ThreadState } from '../../src/observe/daemon-state.ts';
import { Ledger } from '../../src/observe/ledger.ts';
import { Metrics } from '../../src/observe/recorder.ts';

const MiB = 1024 * 1024;

export class SampleDaemon implements StatusSource {
  readonly build = readBuildInfo();
  readonly startedAtMs = Date.now() - 3_725_000;
  readonly books = new Ledger();
  livenessChecks: readonly Check[] = [{ check: 'threads', ok: true }];
  readinessChecks: readonly Check[] = [
    { check: 'phase', ok: true },
    { check: 'journal', ok: true },
  ];
  currentPhase: 'starting' | 'serving' | 'draining' | 'stopped' = 'serving';
  shown: Readonly<Record<string, string>> = { FILE_PATH: 'data', ROTATE_BYTES: '256MiB' };
  openConnections = 50;
  queueState: QueueState = {
    usedBytes: 9.5 * MiB,
    capacityBytes: 64 * MiB,
    usedItems: 7,
    capacityItems: 256,
    lagMs: 12,
    waitingRequests: 0,
  };
  journalState: JournalState = {
    folder: 'data',
    isHealthy: true,
    reason: undefined,
    openSegment: {
      number: 42,
      file: 'telemetry-20261120T103000Z-000042.jsonl',
      startedAtMs: Date.UTC(2026, 10, 20, 10, 30),
      lines: 812_345,
      bytes: 101 * MiB,
    },
    closedSegments: 41,
    diskBytes: 2_345 * MiB,
    freeBytes: 51_234 * MiB,
    isLowOnSpace: false,
    unsyncedBytes: 3 * MiB,
    archiveBacklog: 1,
  };
  threadStates: readonly ThreadState[] = [
    {
      name: 'main',
      isAlive: true,
      silentMs: 800,
      eventLoop: { p50Ms: 0.1, p99Ms: 2.4, maxMs: 18, utilization: 0.62 },
    },
    {
      name: 'writer',
      isAlive: true,
      silentMs: 2100,
      eventLoop: { p50Ms: 0.1, p99Ms: 6, maxMs: 41, utilization: 0.31 },
    },
    { name: 'archiver', isAlive: true, silentMs: 900, eventLoop: undefined },
  ];
  readonly metrics = new Metrics(
    // The same state, with the two counts that only the log knows.
    Object.assign(this, { faultRepeats: () => 3, droppedLogLines: () => 0 }),
  );

  liveness() {
    return this.livenessChecks;
  }
  readiness() {
    return this.readinessChecks;
  }
  ledger() {
    return this.books.snapshot();
  }
  connectionsByThread() {
    return { 'ingest-1': this.openConnections };
  }
  clients() {
    return {
      clients: 3,
      maxClients: 4096,
      rateShareBytes: 1000,
      queueShareBytes: undefined,
      tokenFiles: [{ option: 'TOKENS_FILE', tokens: 2, loadedAtMs: 1_700_000_000_000, fault: undefined }],
    };
  }
  tls() {
    return {
      subject: 'CN=sink',
      expiresAtMs: 1_800_000_000_000,
      loadedAtMs: 1_700_000_000_000,
      fault: undefined,
    };
  }
  producers() {
    return {
      known: 2,
      evicted: 1,
      deduplicatedReadings: 5,
      gaps: 3,
      waitingRequests: 4,
      waitingBytes: 1000,
    };
  }
  async producersPage({ limit, after }: { readonly limit: number; readonly after: string }) {
    const all = ['gateway-1', 'gateway-2'].map((id, i) => ({
      id,
      lastTaken: '18446744073709551615',
      lastAcknowledged: '10',
      missing: [['11', '20']] as const,
      waitingRequests: i,
      deduplicated: 5,
      gaps: 3,
      seenAtMs: 1_700_000_000_000,
    }));
    const behind = all.filter(({ id }) => id > after);
    return { producers: behind.slice(0, limit), hasMore: behind.length > limit };
  }
  queue() {
    return this.queueState;
  }
  journal() {
    return this.journalState;
  }
  threads() {
    return this.threadStates;
  }
  memoryLimits() {
    return [
      { name: 'queue', bytes: 64 * MiB },
      { name: 'requests', bytes: 400 * MiB },
    ];
  }
  phase() {
    return this.currentPhase;
  }
  grpcAddresses() {
    return bindHosts({ host: 'localhost', port: 8000 }).map((host) =>
      host.includes(':') ? `[${host}]:8000` : `${host}:8000`,
    );
  }
  config() {
    return this.shown;
  }

  /** Some of everything that can happen to requests and readings. */
  live(requests: number): void {
    for (let index = 0; index < requests; index++) {
      this.books.requestReceived();
      this.metrics.requestBytes(3880);
      if (index % 100 === 0) {
        this.books.requestRefused(index % 300 === 0 ? 'rate_limited' : 'queue_full');
      } else if (index % 401 === 0) {
        this.books.requestFailed('cancelled');
      } else {
        this.books.readingsDecoded(100);
        if (index % 50 !== 1) {
          this.books.readingsWritten(100);
          this.books.requestOk();
        }
      }
    }
  }
}
