/**
 * Every metric: name, type, labels, buckets, help. Stages tell `Metrics` what happened (recorder.ts);
 * counters that the ledger or another stage already keeps are copied at the scrape (scrape.ts).
 *
 * Rules: prefix telemetry_sink_ (process_ and nodejs_ where the ecosystem has a name), base units
 * (seconds, bytes) at the end, counters end in _total, label values from fixed lists only.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const LATENCY_BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
const COMPRESSION_BUCKETS_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];
const READINGS_BUCKETS = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000];
/** 1 KiB to 64 MiB in steps of four. */
const BYTES_BUCKETS = Array.from({ length: 9 }, (_, step) => 1024 * 4 ** step);

export function defineMetrics(registry: Registry) {
  const registers = [registry];
  const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name, help, labelNames: [...labelNames], registers });
  const gauge = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name, help, labelNames: [...labelNames], registers });
  const histogram = (name: string, help: string, buckets: readonly number[]) =>
    new Histogram({ name, help, buckets: [...buckets], registers });

  return {
    // Daemon
    up: gauge('telemetry_sink_up', '1 while the daemon runs and no liveness check fails'),
    ready: gauge('telemetry_sink_ready', '1 while every readiness check passes'),
    checkOk: gauge('telemetry_sink_check_ok', 'One liveness or readiness check: 1 passes, 0 fails', [
      'check',
    ]),
    buildInfo: gauge('telemetry_sink_build_info', 'What is running; always 1', ['version', 'commit', 'node']),
    memoryLimit: gauge('telemetry_sink_memory_limit_bytes', 'Most that this bounded buffer can hold', [
      'buffer',
    ]),
    faultRepeats: counter(
      'telemetry_sink_log_repeats_total',
      'Faults counted in a summary line instead of logged one by one',
    ),
    logDropped: counter('telemetry_sink_log_dropped_lines_total', 'Log lines that could not be written'),

    // Requests and readings: the books
    requestsReceived: counter('telemetry_sink_requests_received_total', 'Requests received'),
    requestsOk: counter('telemetry_sink_requests_ok_total', 'Requests acknowledged'),
    requestsRefused: counter(
      'telemetry_sink_requests_refused_total',
      'Requests refused before any of them reached the journal',
      ['reason'],
    ),
    requestsFailed: counter(
      'telemetry_sink_requests_failed_total',
      'Requests taken on and not acknowledged, or given up by the client',
      ['reason'],
    ),
    requestsInFlight: gauge('telemetry_sink_requests_in_flight', 'Requests received and not yet answered'),
    requestBytes: counter(
      'telemetry_sink_request_bytes_total',
      'Serialized size of the requests received, uncompressed',
    ),
    malformed: counter(
      'telemetry_sink_malformed_requests_total',
      'Requests refused as malformed, by what was wrong',
      ['fault'],
    ),
    clientAdmittedBytes: counter(
      'telemetry_sink_client_admitted_bytes_total',
      'Serialized size of the requests admitted, by client; beyond METRICS_CLIENTS as `other`',
      ['client'],
    ),
    clientRefused: counter(
      'telemetry_sink_client_refused_requests_total',
      'Requests refused for their size, a rate, a quota or want of queue room, by client',
      ['client'],
    ),
    clients: gauge('telemetry_sink_clients', 'Clients that have a rate or share of their own now'),
    fairShareBytes: gauge(
      'telemetry_sink_fair_share_bytes_per_second',
      'Most that one client may take of what there is too little of, of requests (rate) or of lines (queue); +Inf while there is enough',
      ['resource'],
    ),
    tokens: gauge('telemetry_sink_tokens', 'Tokens that are good now, by the option that names their file', [
      'file',
    ]),
    tokensReloadOk: gauge(
      'telemetry_sink_tokens_reload_ok',
      '1 while the tokens are those of the file; 0 while it cannot be read or is faulty and the last good ones hold',
      ['file'],
    ),
    tokensLoadedAt: gauge(
      'telemetry_sink_tokens_loaded_timestamp_seconds',
      'When these tokens were read, Unix time',
      ['file'],
    ),
    producers: gauge('telemetry_sink_producers', 'Clients that number their readings and are remembered'),
    producersEvicted: counter(
      'telemetry_sink_producers_evicted_total',
      'Producers forgotten for MAX_PRODUCERS or PRODUCER_MAX_AGE',
    ),
    producerGaps: counter(
      'telemetry_sink_producer_gaps_total',
      'Numbered requests refused because numbers before theirs did not come',
    ),
    reorderWaiting: gauge(
      'telemetry_sink_reorder_waiting_requests',
      'Numbered requests that came before their turn and wait',
    ),
    reorderBytes: gauge('telemetry_sink_reorder_waiting_bytes', 'Their lines, of REORDER_BYTES'),
    handshakeFaults: counter(
      'telemetry_sink_tls_handshake_faults_total',
      'TLS handshakes that came to nothing, by what was wrong',
      ['fault'],
    ),
    tlsExpiry: gauge(
      'telemetry_sink_tls_certificate_expiry_timestamp_seconds',
      'When the certificate that is served expires, Unix time',
    ),
    tlsReloadOk: gauge(
      'telemetry_sink_tls_reload_ok',
      '1 while the certificate is that of the files; 0 while they cannot be read or do not fit and the last good one holds',
    ),
    tlsLoadedAt: gauge(
      'telemetry_sink_tls_loaded_timestamp_seconds',
      'When the certificate that is served was read, Unix time',
    ),
    readingsDecoded: counter('telemetry_sink_readings_decoded_total', 'Readings decoded from valid requests'),
    readingsWritten: counter('telemetry_sink_readings_written_total', 'Readings written to the journal'),
    readingsDeduplicated: counter(
      'telemetry_sink_readings_deduplicated_total',
      'Readings dropped because the journal has them already',
    ),
    readingsRefused: counter(
      'telemetry_sink_readings_refused_total',
      'Readings decoded and then refused with their request',
      ['reason'],
    ),
    readingsLost: counter(
      'telemetry_sink_readings_lost_total',
      'Readings decoded that are not in the journal; their requests were not acknowledged as written',
      ['reason'],
    ),
    readingsInFlight: gauge('telemetry_sink_readings_in_flight', 'Readings decoded and not yet written'),
    ledgerDifference: gauge(
      'telemetry_sink_ledger_difference',
      'What the books do not account for; anything but 0 is a fault of the daemon',
      ['book'],
    ),
    connections: gauge('telemetry_sink_connections', 'Open gRPC connections'),
    threadConnections: gauge(
      'telemetry_sink_thread_connections',
      'Open gRPC connections by the ingest thread that has them',
      ['thread'],
    ),
    acknowledgementSeconds: histogram(
      'telemetry_sink_acknowledgement_seconds',
      'From the first request of a batch to its acknowledgement, one observation per batch',
      LATENCY_BUCKETS_SECONDS,
    ),

    // Queue and batches
    queueBytes: gauge('telemetry_sink_queue_bytes', 'Bytes of lines between encoder and disk'),
    queueCapacityBytes: gauge('telemetry_sink_queue_capacity_bytes', 'Most that the queue takes'),
    queueItems: gauge('telemetry_sink_queue_batches', 'Batches queued or being written'),
    queueCapacityItems: gauge('telemetry_sink_queue_capacity_batches', 'Most batches that the queue takes'),
    queueWaiting: gauge('telemetry_sink_queue_waiting_requests', 'Requests waiting for queue room'),
    queueWaitSeconds: histogram(
      'telemetry_sink_queue_wait_seconds',
      'How long a request that found no queue room waited, whether it got room or not',
      LATENCY_BUCKETS_SECONDS,
    ),
    lagSeconds: gauge('telemetry_sink_lag_seconds', 'Age of the oldest reading that is not written yet'),
    batchesFlushed: counter(
      'telemetry_sink_batches_flushed_total',
      'Batches handed to the writer, by cause',
      ['cause'],
    ),
    batchReadings: histogram('telemetry_sink_batch_readings', 'Readings per batch', READINGS_BUCKETS),
    batchBytes: histogram('telemetry_sink_batch_bytes', 'Bytes of lines per batch', BYTES_BUCKETS),

    // Journal
    journalHealthy: gauge('telemetry_sink_journal_healthy', '1 while the journal can take lines'),
    journalWrittenBytes: counter('telemetry_sink_journal_written_bytes_total', 'Bytes of lines written'),
    journalWrittenLines: counter('telemetry_sink_journal_written_lines_total', 'Lines written'),
    journalWriteSeconds: histogram(
      'telemetry_sink_journal_write_seconds',
      'Time of one write to the open segment; it may hold several batches',
      LATENCY_BUCKETS_SECONDS,
    ),
    journalSyncSeconds: histogram(
      'telemetry_sink_journal_fsync_seconds',
      'Time of one fdatasync of the open segment',
      LATENCY_BUCKETS_SECONDS,
    ),
    journalFailures: counter(
      'telemetry_sink_journal_failures_total',
      'Operations of the journal that failed, by operation',
      ['operation'],
    ),
    journalUnsyncedBytes: gauge(
      'telemetry_sink_journal_unsynced_bytes',
      'Bytes written and not yet synced: what a power cut could take',
    ),
    journalTornBytes: counter(
      'telemetry_sink_journal_torn_bytes_total',
      'Bytes of torn lines cut off by recovery',
    ),
    journalSegments: gauge('telemetry_sink_journal_segments', 'Segments in the folder, by state', ['state']),
    journalOpenSegmentBytes: gauge(
      'telemetry_sink_journal_open_segment_bytes',
      'Size of the segment being written',
    ),
    segmentsOpened: counter('telemetry_sink_journal_segments_opened_total', 'Segments begun'),
    rotations: counter('telemetry_sink_journal_rotations_total', 'Segments closed, by cause', ['cause']),
    segmentsDeleted: counter(
      'telemetry_sink_journal_segments_deleted_total',
      'Segments deleted by retention',
      ['cause'],
    ),
    archiveBacklog: gauge(
      'telemetry_sink_journal_archive_backlog_segments',
      'Closed segments waiting for hash, compression or retention',
    ),
    compressionSeconds: histogram(
      'telemetry_sink_journal_compression_seconds',
      'Time to compress one segment',
      COMPRESSION_BUCKETS_SECONDS,
    ),
    compressionInputBytes: counter(
      'telemetry_sink_journal_compression_input_bytes_total',
      'Bytes of segments before compression',
    ),
    compressionOutputBytes: counter(
      'telemetry_sink_journal_compression_output_bytes_total',
      'Bytes of segments after compression',
    ),
    journalDiskBytes: gauge('telemetry_sink_journal_disk_bytes', 'All segments as they lie on the disk'),
    journalFreeBytes: gauge('telemetry_sink_journal_free_bytes', 'Free space where the journal lies'),
    journalLowSpace: gauge('telemetry_sink_journal_low_space', '1 while free space is under LOW_SPACE_BYTES'),

    // Threads
    threadAlive: gauge('telemetry_sink_thread_alive', '1 while the thread runs', ['thread']),
    threadRestarts: counter(
      'telemetry_sink_thread_restarts_total',
      'Ingest threads that died; each is started again, its connections are reset',
      ['thread'],
    ),
    threadSilentSeconds: gauge(
      'telemetry_sink_thread_silent_seconds',
      'Time since the thread last gave a sign of life',
      ['thread'],
    ),
    eventLoopDelaySeconds: gauge(
      'telemetry_sink_event_loop_delay_seconds',
      'How late the event loop was in the last 10s',
      ['thread', 'quantile'],
    ),
    eventLoopDelayMaxSeconds: gauge(
      'telemetry_sink_event_loop_delay_max_seconds',
      'How late the event loop was at worst within the last minute',
      ['thread'],
    ),
    eventLoopUtilization: gauge(
      'telemetry_sink_event_loop_utilization_ratio',
      'Share of time in which the event loop had work',
      ['thread'],
    ),

    // Process, under the names that dashboards expect
    cpuSeconds: counter('process_cpu_seconds_total', 'User and system CPU time spent, all threads'),
    residentMemory: gauge('process_resident_memory_bytes', 'Resident memory'),
    startTime: gauge('process_start_time_seconds', 'When the process started, Unix time'),
    openFileDescriptors: gauge('process_open_fds', 'Open file descriptors'),
    maxFileDescriptors: gauge('process_max_fds', 'Most file descriptors that may be open'),
    heapUsed: gauge('nodejs_heap_size_used_bytes', 'Used heap of the main thread'),
    heapTotal: gauge('nodejs_heap_size_total_bytes', 'Reserved heap of the main thread'),
    externalMemory: gauge('nodejs_external_memory_bytes', 'Memory of buffers outside the heap'),
  };
}

export type MetricSet = ReturnType<typeof defineMetrics>;
