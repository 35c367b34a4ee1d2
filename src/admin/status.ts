/** The document of /api/v1/status. Keys are added, never renamed or removed, as long as the path says v1. */
import type { StatusSource } from './status-source.ts';

export function statusDocument(source: StatusSource, adminAddresses: readonly string[], nowMs: number) {
  const ledger = source.ledger();
  const queue = source.queue();
  const connectionsByThread = source.connectionsByThread();
  const clients = source.clients();
  const journal = source.journal();
  const memory = process.memoryUsage();
  const limits = source.memoryLimits();
  const tls = source.tls();
  return {
    name: 'telemetry-sink',
    ...source.build,
    pid: process.pid,
    phase: source.phase(),
    started_at: new Date(source.startedAtMs).toISOString(),
    now: new Date(nowMs).toISOString(),
    uptime_seconds: Math.max(0, nowMs - source.startedAtMs) / 1000,
    addresses: { grpc: source.grpcAddresses(), admin: adminAddresses },
    liveness: source.liveness(),
    readiness: source.readiness(),
    ledger: {
      requests: {
        received: ledger.requests.received,
        ok: ledger.requests.ok,
        refused: ledger.requests.refused,
        failed: ledger.requests.failed,
        in_flight: ledger.requests.inFlight,
        difference: ledger.requests.difference,
      },
      readings: {
        decoded: ledger.readings.decoded,
        written: ledger.readings.written,
        deduplicated: ledger.readings.deduplicated,
        refused: ledger.readings.refused,
        lost: ledger.readings.lost,
        in_flight: ledger.readings.inFlight,
        difference: ledger.readings.difference,
      },
    },
    connections: Object.values(connectionsByThread).reduce((sum, count) => sum + count, 0),
    connections_by_thread: connectionsByThread,
    clients: {
      known: clients.clients,
      capacity: clients.maxClients,
      rate_share_bytes_per_second: clients.rateShareBytes ?? null,
      queue_share_bytes_per_second: clients.queueShareBytes ?? null,
      token_files: clients.tokenFiles.map(({ option, tokens, loadedAtMs, fault }) => ({
        option,
        tokens,
        loaded_at: new Date(loadedAtMs).toISOString(),
        fault: fault ?? null,
      })),
    },
    tls:
      tls === undefined
        ? null
        : {
            subject: tls.subject,
            expires_at: new Date(tls.expiresAtMs).toISOString(),
            loaded_at: new Date(tls.loadedAtMs).toISOString(),
            fault: tls.fault ?? null,
          },
    queue: {
      used_bytes: queue.usedBytes,
      capacity_bytes: queue.capacityBytes,
      used_batches: queue.usedItems,
      capacity_batches: queue.capacityItems,
      waiting_requests: queue.waitingRequests,
      lag_seconds: queue.lagMs / 1000,
    },
    journal: {
      folder: journal.folder,
      healthy: journal.isHealthy,
      reason: journal.reason ?? null,
      open_segment:
        journal.openSegment === undefined
          ? null
          : {
              number: journal.openSegment.number,
              file: journal.openSegment.file,
              started_at: new Date(journal.openSegment.startedAtMs).toISOString(),
              lines: journal.openSegment.lines,
              bytes: journal.openSegment.bytes,
            },
      closed_segments: journal.closedSegments,
      archive_backlog_segments: journal.archiveBacklog,
      disk_bytes: journal.diskBytes,
      free_bytes: journal.freeBytes ?? null,
      low_space: journal.isLowOnSpace,
      unsynced_bytes: journal.unsyncedBytes,
    },
    threads: source.threads().map(({ name, isAlive, silentMs, eventLoop }) => ({
      name,
      alive: isAlive,
      silent_seconds: silentMs / 1000,
      event_loop:
        eventLoop === undefined
          ? null
          : {
              p50_seconds: eventLoop.p50Ms / 1000,
              p99_seconds: eventLoop.p99Ms / 1000,
              max_seconds: eventLoop.maxMs / 1000,
              utilization: eventLoop.utilization,
            },
    })),
    memory: {
      resident_bytes: memory.rss,
      heap_used_bytes: memory.heapUsed,
      external_bytes: memory.external,
      limits: Object.fromEntries(limits.map(({ name, bytes }) => [name, bytes])),
      limits_sum_bytes: limits.reduce((sum, { bytes }) => sum + bytes, 0),
    },
    config: source.config(),
  };
}
