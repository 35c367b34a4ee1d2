/** The metrics: names by convention, events land where they belong, one scrape is consistent in itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURE_REASONS, LOSS_REASONS, REFUSAL_REASONS } from '../../src/base/outcome.ts';
import { subjectName } from '../../src/ingest/authenticator.ts';
import { Metrics } from '../../src/observe/recorder.ts';
import { SampleDaemon } from '../admin/sample-daemon.ts';
import { parseExposition, sampleValue } from './exposition.ts';

const scrape = async (daemon: SampleDaemon) => parseExposition(await daemon.metrics.scrape());

test('every name follows the conventions, and every metric says what it is', async () => {
  for (const { name, type, help } of (await scrape(new SampleDaemon())).values()) {
    assert.match(name, /^(telemetry_sink|process|nodejs)_[a-z0-9_]+$/);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.doesNotMatch(name, /_(ms|millis|milliseconds|kb|mb|mib|percent|count|sum|bucket)(_|$)/, name);
    assert.ok(help.length > 5 && !help.endsWith('.'), `${name}: ${help}`);
  }
});

test('every reason is there from the start, at 0, so that a rate can be taken of its first rise', async () => {
  const families = await scrape(new SampleDaemon());
  for (const reason of REFUSAL_REASONS) {
    assert.equal(sampleValue(families, 'telemetry_sink_requests_refused_total', { reason }), 0);
    assert.equal(sampleValue(families, 'telemetry_sink_readings_refused_total', { reason }), 0);
  }
  for (const reason of FAILURE_REASONS) {
    assert.equal(sampleValue(families, 'telemetry_sink_requests_failed_total', { reason }), 0);
  }
  for (const reason of LOSS_REASONS) {
    assert.equal(sampleValue(families, 'telemetry_sink_readings_lost_total', { reason }), 0);
  }
});

test('events are counted where they belong, durations in seconds', async () => {
  const { metrics } = Object.assign(new SampleDaemon());
  metrics.requestBytes(100);
  metrics.requestBytes(50);
  metrics.malformed('empty_sensor_name');
  metrics.malformed('empty_sensor_name');
  metrics.queueWaited(250);
  metrics.batchFlushed('size', 10_000, 1_000_000);
  metrics.batchFlushed('acknowledgement', 1, 100);
  metrics.batchAcknowledged(3);
  metrics.journalWritten(1_000_100, 10_001, 4);
  metrics.journalSynced(20);
  metrics.journalFailed('write');
  metrics.tornBytesCut(17);
  metrics.segmentOpened();
  metrics.segmentClosed('size');
  metrics.segmentDeleted('age');
  metrics.segmentCompressed(1000, 100, 500);
  const families = parseExposition(await metrics.scrape());
  const value = (name: string, labels = {}) => sampleValue(families, `telemetry_sink_${name}`, labels);

  assert.equal(value('request_bytes_total'), 150);
  assert.equal(value('malformed_requests_total', { fault: 'empty_sensor_name' }), 2);
  assert.equal(value('queue_wait_seconds_sum'), 0.25);
  assert.equal(value('batches_flushed_total', { cause: 'size' }), 1);
  assert.equal(value('batches_flushed_total', { cause: 'acknowledgement' }), 1);
  assert.equal(value('batch_readings_sum'), 10_001);
  assert.equal(value('batch_readings_bucket', { le: '1' }), 1);
  assert.equal(value('batch_readings_bucket', { le: '10000' }), 2);
  assert.equal(value('batch_bytes_count'), 2);
  assert.equal(value('acknowledgement_seconds_sum'), 0.003);
  assert.equal(value('journal_written_bytes_total'), 1_000_100);
  assert.equal(value('journal_written_lines_total'), 10_001);
  assert.equal(value('journal_write_seconds_bucket', { le: '0.0025' }), 0);
  assert.equal(value('journal_write_seconds_bucket', { le: '0.005' }), 1);
  assert.equal(value('journal_fsync_seconds_sum'), 0.02);
  assert.equal(value('journal_failures_total', { operation: 'write' }), 1);
  assert.equal(value('journal_torn_bytes_total'), 17);
  assert.equal(value('journal_segments_opened_total'), 1);
  assert.equal(value('journal_rotations_total', { cause: 'size' }), 1);
  assert.equal(value('journal_segments_deleted_total', { cause: 'age' }), 1);
  assert.equal(value('journal_compression_input_bytes_total'), 1000);
  assert.equal(value('journal_compression_output_bytes_total'), 100);
  assert.equal(value('journal_compression_seconds_sum'), 0.5);
});

test('state is copied at the scrape, also when it shrinks', async () => {
  const daemon = new SampleDaemon();
  let families = await scrape(daemon);
  assert.equal(sampleValue(families, 'telemetry_sink_ready'), 1);
  assert.equal(sampleValue(families, 'telemetry_sink_check_ok', { check: 'journal' }), 1);
  assert.equal(sampleValue(families, 'telemetry_sink_queue_capacity_bytes'), 64 * 1024 * 1024);
  assert.equal(sampleValue(families, 'telemetry_sink_lag_seconds'), 0.012);
  assert.equal(sampleValue(families, 'telemetry_sink_journal_segments', { state: 'closed' }), 41);
  const main = { thread: 'main' };
  assert.equal(
    sampleValue(families, 'telemetry_sink_event_loop_delay_seconds', { ...main, quantile: '0.99' }),
    0.0024,
  );
  assert.equal(sampleValue(families, 'telemetry_sink_event_loop_delay_max_seconds', main), 0.018);

  daemon.readinessChecks = [{ check: 'journal', ok: false, reason: 'disk full' }];
  daemon.livenessChecks = [{ check: 'threads', ok: false, reason: 'writer died' }];
  daemon.openConnections = 0;
  daemon.journalState = { ...daemon.journalState, openSegment: undefined, freeBytes: undefined };
  families = await scrape(daemon);
  assert.equal(sampleValue(families, 'telemetry_sink_ready'), 0);
  assert.equal(sampleValue(families, 'telemetry_sink_up'), 0);
  assert.equal(sampleValue(families, 'telemetry_sink_check_ok', { check: 'journal' }), 0);
  assert.throws(() => sampleValue(families, 'telemetry_sink_check_ok', { check: 'phase' }), /0 samples/);
  assert.equal(sampleValue(families, 'telemetry_sink_connections'), 0);
  assert.equal(sampleValue(families, 'telemetry_sink_journal_segments', { state: 'open' }), 0);
  assert.throws(() => sampleValue(families, 'telemetry_sink_journal_free_bytes'), /0 samples/);
  daemon.journalState = { ...daemon.journalState, freeBytes: 5 };
  assert.equal(sampleValue(await scrape(daemon), 'telemetry_sink_journal_free_bytes'), 5);
});

test('the equations of the books hold within one scrape while requests go on', async () => {
  const daemon = new SampleDaemon();
  const scrapes: Promise<string>[] = [];
  for (let round = 0; round < 20; round++) {
    daemon.live(500 + round);
    scrapes.push(daemon.metrics.scrape());
    daemon.live(77);
    await Promise.resolve();
  }
  const received = new Set<number>();
  for (const text of await Promise.all(scrapes)) {
    const families = parseExposition(text);
    const total = (name: string) =>
      families.get(`telemetry_sink_${name}`)!.samples.reduce((sum, { value }) => sum + value, 0);
    received.add(total('requests_received_total'));
    assert.equal(
      total('requests_received_total'),
      total('requests_ok_total') +
        total('requests_refused_total') +
        total('requests_failed_total') +
        total('requests_in_flight'),
    );
    assert.equal(
      total('readings_decoded_total'),
      total('readings_written_total') +
        total('readings_deduplicated_total') +
        total('readings_refused_total') +
        total('readings_lost_total') +
        total('readings_in_flight'),
    );
    assert.equal(total('ledger_difference'), 0);
  }
  assert.equal(received.size, 20, 'each scrape shows its own moment');
});

test('label values are bounded', async () => {
  const daemon = new SampleDaemon();
  for (let fault = 0; fault < 1000; fault++) daemon.metrics.malformed(`fault ${fault}`);
  const { samples } = (await scrape(daemon)).get('telemetry_sink_malformed_requests_total')!;
  assert.equal(samples.length, 41);
  assert.equal(
    samples.reduce((sum, { value }) => sum + value, 0),
    1000,
  );
});

test('a wall clock that was set back breaks no histogram', async () => {
  const daemon = new SampleDaemon();
  daemon.metrics.batchAcknowledged(-5000);
  assert.equal(sampleValue(await scrape(daemon), 'telemetry_sink_acknowledgement_seconds_sum'), 0);
});

test('the process is measured', async () => {
  const families = await scrape(new SampleDaemon());
  const now = Date.now() / 1000;
  assert.ok(sampleValue(families, 'process_resident_memory_bytes') > 10_000_000);
  assert.ok(sampleValue(families, 'process_cpu_seconds_total') > 0);
  assert.ok(Math.abs(now - process.uptime() - sampleValue(families, 'process_start_time_seconds')) < 5);
});

test('clients: as many as asked for by name, all others together, and no name steers the text', async () => {
  const daemon = Object.assign(new SampleDaemon(), { faultRepeats: () => 0, droppedLogLines: () => 0 });
  const metrics = new Metrics(daemon, 5);
  const hostile = [
    'CN=a"} 1\ntelemetry_sink_up{x="',
    'CN=back\\slash\\n',
    `CN=\u001b]0;owned\u0007\u202e${'x'.repeat(65_536)}`,
    'CN=\u0000\ud800',
  ];
  for (const subject of hostile) metrics.clientSent(`certificate:${subjectName(subject)}`, 100, 1);
  for (let i = 0; i < 10_000; i++) metrics.clientSent(`address:10.0.${i >> 8}.${i & 255}`, 1, 1);
  const text = await metrics.scrape();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  assert.ok(text.length < 100_000, `${text.length}`);
  const families = parseExposition(text);
  const { samples } = families.get('telemetry_sink_client_admitted_bytes_total')!;
  assert.equal(samples.length, 6);
  assert.equal(
    samples.reduce((sum, { value }) => sum + value, 0),
    10_400,
  );
  const other = { client: 'other' };
  assert.equal(sampleValue(families, 'telemetry_sink_client_refused_requests_total', other), 9999);
});
