/**
 * Copies the daemon's state into the metrics at a scrape: nothing here is counted on the hot path, and
 * nothing touches the disk (except /proc, which is memory).
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Counter, Gauge } from 'prom-client';
import type { ClientsState, DaemonState, ProducersState, TlsState } from './daemon-state.ts';
import type { LedgerSnapshot } from './ledger.ts';
import type { MetricSet } from './metrics.ts';

/** A counter whose count is kept elsewhere. */
export function setTotal(counter: Counter, total: number): void {
  counter.reset();
  counter.inc(total);
}

function setTotals<L extends string>(
  counter: Counter<L>,
  label: L,
  totals: Readonly<Record<string, number>>,
): void {
  counter.reset();
  for (const [value, total] of Object.entries(totals)) {
    counter.inc({ [label]: value } as Record<L, string>, total);
  }
}

/** Not measured is not 0 (an alert on little space would fire at every start): then there is no sample. */
function setIfKnown(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}

export function copyState(set: MetricSet, state: DaemonState): void {
  copyChecks(set, state);
  copyLedger(set, state.ledger());
  copyQueue(set, state);
  copyJournal(set, state);
  copyThreads(set, state);
  copyProcess(set);
  copyConnections(set, state.connectionsByThread());
  copyClients(set, state.clients());
  copyTls(set, state.tls());
  copyProducers(set, state.producers());
  set.memoryLimit.reset();
  for (const { name, bytes } of state.memoryLimits()) set.memoryLimit.set({ buffer: name }, bytes);
}

function copyClients(set: MetricSet, state: ClientsState): void {
  set.clients.set(state.clients);
  set.fairShareBytes.set({ resource: 'rate' }, state.rateShareBytes ?? Number.POSITIVE_INFINITY);
  set.fairShareBytes.set({ resource: 'queue' }, state.queueShareBytes ?? Number.POSITIVE_INFINITY);
  for (const { option: file, tokens, loadedAtMs, fault } of state.tokenFiles) {
    set.tokens.set({ file }, tokens);
    set.tokensReloadOk.set({ file }, fault === undefined ? 1 : 0);
    set.tokensLoadedAt.set({ file }, loadedAtMs / 1000);
  }
}

function copyTls(set: MetricSet, tls: TlsState | undefined): void {
  if (tls === undefined) return;
  set.tlsExpiry.set(tls.expiresAtMs / 1000);
  set.tlsReloadOk.set(tls.fault === undefined ? 1 : 0);
  set.tlsLoadedAt.set(tls.loadedAtMs / 1000);
}

function copyProducers(set: MetricSet, producers: ProducersState | undefined): void {
  if (producers === undefined) return;
  set.producers.set(producers.known);
  setTotal(set.producersEvicted, producers.evicted);
  setTotal(set.producerGaps, producers.gaps);
  set.reorderWaiting.set(producers.waitingRequests);
  set.reorderBytes.set(producers.waitingBytes);
}

function copyConnections(set: MetricSet, byThread: Readonly<Record<string, number>>): void {
  let total = 0;
  set.threadConnections.reset();
  for (const [thread, count] of Object.entries(byThread)) {
    total += count;
    set.threadConnections.set({ thread }, count);
  }
  set.connections.set(total);
}

function copyChecks(set: MetricSet, state: DaemonState): void {
  const liveness = state.liveness();
  const readiness = state.readiness();
  set.up.set(liveness.every(({ ok }) => ok) ? 1 : 0);
  set.ready.set(readiness.every(({ ok }) => ok) ? 1 : 0);
  set.checkOk.reset();
  for (const { check, ok } of [...liveness, ...readiness]) set.checkOk.set({ check }, ok ? 1 : 0);
}

function copyLedger(set: MetricSet, { requests, readings }: LedgerSnapshot): void {
  setTotal(set.requestsReceived, requests.received);
  setTotal(set.requestsOk, requests.ok);
  setTotals(set.requestsRefused, 'reason', requests.refused);
  setTotals(set.requestsFailed, 'reason', requests.failed);
  set.requestsInFlight.set(requests.inFlight);
  setTotal(set.readingsDecoded, readings.decoded);
  setTotal(set.readingsWritten, readings.written);
  setTotal(set.readingsDeduplicated, readings.deduplicated);
  setTotals(set.readingsRefused, 'reason', readings.refused);
  setTotals(set.readingsLost, 'reason', readings.lost);
  set.readingsInFlight.set(readings.inFlight);
  set.ledgerDifference.set({ book: 'requests' }, requests.difference);
  set.ledgerDifference.set({ book: 'readings' }, readings.difference);
}

function copyQueue(set: MetricSet, state: DaemonState): void {
  const queue = state.queue();
  set.queueBytes.set(queue.usedBytes);
  set.queueCapacityBytes.set(queue.capacityBytes);
  set.queueItems.set(queue.usedItems);
  set.queueCapacityItems.set(queue.capacityItems);
  set.queueWaiting.set(queue.waitingRequests);
  set.lagSeconds.set(Math.max(0, queue.lagMs) / 1000);
}

function copyJournal(set: MetricSet, state: DaemonState): void {
  const journal = state.journal();
  set.journalHealthy.set(journal.isHealthy ? 1 : 0);
  set.journalUnsyncedBytes.set(journal.unsyncedBytes);
  set.journalSegments.set({ state: 'open' }, journal.openSegment === undefined ? 0 : 1);
  set.journalSegments.set({ state: 'closed' }, journal.closedSegments);
  set.journalOpenSegmentBytes.set(journal.openSegment?.bytes ?? 0);
  set.archiveBacklog.set(journal.archiveBacklog);
  set.journalDiskBytes.set(journal.diskBytes);
  setIfKnown(set.journalFreeBytes, journal.freeBytes);
  set.journalLowSpace.set(journal.isLowOnSpace ? 1 : 0);
}

function copyThreads(set: MetricSet, state: DaemonState): void {
  for (const { name: thread, isAlive, silentMs, eventLoop } of state.threads()) {
    set.threadAlive.set({ thread }, isAlive ? 1 : 0);
    set.threadSilentSeconds.set({ thread }, silentMs / 1000);
    if (eventLoop === undefined) continue;
    set.eventLoopDelaySeconds.set({ thread, quantile: '0.5' }, eventLoop.p50Ms / 1000);
    set.eventLoopDelaySeconds.set({ thread, quantile: '0.99' }, eventLoop.p99Ms / 1000);
    set.eventLoopDelayMaxSeconds.set({ thread }, eventLoop.maxMs / 1000);
    set.eventLoopUtilization.set({ thread }, eventLoop.utilization);
  }
}

const startedAtSeconds = Math.round(Date.now() / 1000 - process.uptime());
const maxFileDescriptors = readMaxFileDescriptors();

function copyProcess(set: MetricSet): void {
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  setTotal(set.cpuSeconds, (cpu.user + cpu.system) / 1e6);
  set.residentMemory.set(memory.rss);
  set.heapUsed.set(memory.heapUsed);
  set.heapTotal.set(memory.heapTotal);
  set.externalMemory.set(memory.external);
  set.startTime.set(startedAtSeconds);
  setIfKnown(set.maxFileDescriptors, maxFileDescriptors);
  setIfKnown(set.openFileDescriptors, countFileDescriptors());
}

/** Undefined where /proc is missing. Read synchronously: the thread pool may be stuck behind a hanging disk. */
function countFileDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1; // the folder being read is one of them
  } catch {
    return undefined;
  }
}

function readMaxFileDescriptors(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return limit === null ? undefined : Number(limit[1]);
  } catch {
    return undefined;
  }
}
