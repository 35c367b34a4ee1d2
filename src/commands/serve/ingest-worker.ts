/**
 * An ingest thread: a gRPC server with connections of its own, admission, encoder and processor, and a
 * channel to the writer. It shares budgets with its siblings and shows its books and its beat to the main
 * thread; nothing but whole batches leaves it.
 *
 * A fault of ours (a broken invariant, a handler that throws) ends the thread: its state is not to be
 * trusted any more, its siblings' is. The main thread closes its books and starts it again. Its sockets
 * are closed first: node:http2 takes the whole process down when data comes for a thread that is being
 * stopped (docs/decisions/0005).
 */
import { workerData } from 'node:worker_threads';
import { systemClock } from '../../base/clock.ts';
import { ByteAllowance, SharedBudget } from '../../base/shared-budget.ts';
import { createGrpcServer } from '../../grpc/create-server.ts';
import { TlsEntrance } from '../../grpc/tls/tls-entrance.ts';
import { Authenticator } from '../../ingest/authenticator.ts';
import { Clients } from '../../ingest/clients.ts';
import { EventLoopMonitor } from '../../observe/event-loop-delay.ts';
import { Ledger } from '../../observe/ledger.ts';
import { Ingest } from './ingest.ts';
import { IngestActivityLog } from './ingest-activity.ts';
import {
  BEAT_INTERVAL_MS,
  type IngestCommand,
  type IngestData,
  type IngestEvent,
  type IngestReady,
  STATE,
} from './ingest-messages.ts';
import { ordinaryWork } from './ordinary-work.ts';
import { runWorker } from './worker-thread.ts';

await runWorker<IngestReady, IngestEvent, IngestCommand>(async (emit, die) => {
  const { options, address, reusePort, index, shares, cells, batches, ...data } = workerData as IngestData;
  const { grpc } = options;
  const ledger = new Ledger(cells.ledger);
  const clients = new Clients(options.ingest.maxClients);
  const door = new Authenticator(clients, data.tokens);
  const activity = new IngestActivityLog(
    (report) => emit({ kind: 'report', report }),
    () => clients.takeActivity(options.ingest.metricsClients),
  );
  let { journalHealth } = data;

  const ingest = new Ingest(options, {
    batches,
    ledger,
    metrics: activity,
    clock: systemClock,
    place: { index, shares },
    journalHealth: () => journalHealth,
  });
  const tls =
    data.tls === undefined
      ? undefined
      : new TlsEntrance(data.tls, grpc.tlsMinVersion, {
          onFault: (fault, peer, detail) => activity.handshakeFault(fault, peer, detail),
        });
  const server = createGrpcServer(grpc.transport, grpc, {
    ...(tls === undefined ? {} : { tls }),
    ledger,
    clock: systemClock,
    sendSensorValues: ingest.handle,
    door,
    events: {
      onConnectionRefused: (peer) => activity.connectionRefused(peer),
      onHandlerFault: (error) => dieOf(error),
    },
    ...(grpc.transport === 'native' ? { ordinaryWork: ordinaryWork() } : {}),
    budgets: {
      connections: new SharedBudget(grpc.maxConnections, shares.connections, index),
      receive: new ByteAllowance(grpc.receiveBufferBytes, shares.receive, index),
    },
  });
  const dieOf = (error: unknown): void => {
    ledger.detach();
    server.cut();
    die(error);
  };
  process.on('uncaughtException', dieOf);
  // Until the main thread has seen that all threads are there.
  server.setServing(false);
  const addresses = await server.listen(address, { reusePort });

  const { state } = cells;
  const show = (): void => {
    const queue = ingest.queue();
    state[STATE.queueBytes] = queue.usedBytes;
    state[STATE.queueItems] = queue.usedItems;
    state[STATE.waitingRequests] = queue.waitingRequests;
    state[STATE.lagMs] = queue.lagMs;
    state[STATE.requestsAstray] = ledger.requestsInFlight - server.stats().calls;
    state[STATE.readingsAstray] = ledger.readingsInFlight - ingest.heldReadings;
    state[STATE.beatAtMs] = systemClock.monotonicMs();
  };
  const beat = (): void => {
    ingest.considerOthers();
    show();
    activity.flush();
  };
  const beatTimer = setInterval(beat, BEAT_INTERVAL_MS);
  beat();
  const monitor = new EventLoopMonitor();
  monitor.start(systemClock, (report) => emit({ kind: 'eventLoop', report }));

  return {
    ready: { addresses },
    command: (command) => {
      switch (command.kind) {
        case 'serving':
          server.setServing(command.isServing);
          break;
        case 'journalHealth':
          journalHealth = command.health;
          break;
        case 'tls':
          tls?.setMaterial(command.material);
          break;
        case 'tokens':
          door.setTokens(command.tokens);
          break;
        case 'beginDrain':
          server.beginDrain();
          break;
        case 'stopCalls':
          void server.stop(command.timeoutMs).then((result) => emit({ kind: 'callsStopped', ...result }));
          break;
        case 'abandon':
          ingest.abandon(command.message);
          break;
        case 'leave':
          if (command.handOver) ingest.cancel();
          server.destroy();
          if (!command.handOver) ingest.writeOff();
          // Whatever the calls were told goes out first.
          setImmediate(() => {
            show();
            emit({ kind: 'left' });
          });
          break;
      }
    },
    close: async () => {
      await ingest.close();
      clearInterval(beatTimer);
      monitor.stop();
      beat();
    },
  };
});
