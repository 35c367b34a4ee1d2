/**
 * Runs `send` from start to summary.
 *
 *   connecting ─connected▶ running ─────────────done▶ summary ▶ exit status
 *       │                     └─signal▶ stopping ─done┘
 *       └─signal▶ end            second signal ▶ end at once, without a summary
 */
import type { Writable } from 'node:stream';
import { systemClock } from '../../base/clock.ts';
import { errorMessage, SinkError } from '../../base/errors.ts';
import type { CommandIo } from '../command.ts';
import { counted } from './figures.ts';
import type { Load } from './load.ts';
import { LocalLoad } from './local-load.ts';
import type { SendConfig } from './options.ts';
import { loadPlan } from './options.ts';
import type { LoadPlan } from './plan.ts';
import { Progress } from './progress.ts';
import { StdinSource } from './stdin-source.ts';
import { isDelivered, jsonSummary, type SendOutcome, tableSummary } from './summary.ts';
import { ThreadedLoad } from './threaded-load.ts';

/** Faulty lines reported one by one; the rest are only counted. */
const REPORTED_FAULTS = 20;

export type SendIo = Pick<CommandIo, 'stdin' | 'stdout' | 'stderr'>;

export async function runSend(config: SendConfig, io: SendIo): Promise<number> {
  const plan = loadPlan(config);
  const { threads } = config.pace;
  const source = plan.fleet === undefined ? stdinSource(config, plan, io.stderr) : undefined;
  const onWaiting = (target: string): void => {
    io.stderr.write(`Waiting for a daemon at ${target} ...\n`);
  };
  if (plan.exactlyOnce && !config.report.quiet) {
    io.stderr.write(
      `Producer ids begin with ${plan.fleet!.producerPrefix} (to repeat this run without storing anything twice: --producer-id)\n`,
    );
  }
  const load: Load =
    threads > 1
      ? new ThreadedLoad(plan, threads, onWaiting)
      : new LocalLoad(plan, { thread: 0, threads: 1, onWaiting }, source);
  const signals = new StopSignals();
  try {
    await Promise.race([load.connect(), signals.first.then(endBeforeStart)]);
    return await send(config, plan, load, source, signals, io);
  } finally {
    signals.close();
    load.close();
    if (source !== undefined) {
      source.close();
      io.stdin.destroy();
    }
  }
}

async function send(
  config: SendConfig,
  plan: LoadPlan,
  load: Load,
  source: StdinSource | undefined,
  signals: StopSignals,
  io: SendIo,
): Promise<number> {
  const progress = config.report.quiet ? undefined : new Progress(io.stderr, load, plan.durationMs);
  // Our clock's timers let a process end; this one says that we are not done.
  const keepAlive = setInterval(() => undefined, 60_000);
  void signals.first.then(() => {
    const { inFlight } = load.counters();
    progress?.note(`Stopping: ${counted(inFlight, 'request')} underway; Ctrl-C again to end at once`);
    load.stop('interrupted');
  });
  try {
    const startMs = performance.now();
    const reading = source?.read(io.stdin).catch((error: unknown) => {
      load.stop(`standard input: ${errorMessage(error)}`);
    });
    const result = await Promise.race([load.run(), signals.second.then(endAtOnce)]);
    const elapsedMs = performance.now() - startMs;
    if (source?.ended) await reading;
    progress?.stop();
    const outcome: SendOutcome = {
      target: plan.target,
      connections: plan.connections,
      threads: config.pace.threads,
      seed: plan.seed,
      requestsPerSecond: plan.requestsPerSecond,
      elapsedMs,
      counters: result.counters,
      latency: result.latency.figures(),
      attemptLatency: result.attemptLatency.figures(),
      plannedReadings: load.totalReadings,
      isTotalRequired: plan.durationMs === undefined,
      faultyLines: source?.faultyLines ?? 0,
      endedEarly: result.endedEarly,
    };
    io.stdout.write(config.report.json ? `${jsonSummary(outcome)}\n` : tableSummary(outcome));
    const isInputCut = source !== undefined && result.endedEarly !== undefined;
    return isDelivered(outcome) && !isInputCut ? 0 : 1;
  } finally {
    progress?.stop();
    clearInterval(keepAlive);
  }
}

function stdinSource(config: SendConfig, plan: LoadPlan, stderr: Writable): StdinSource {
  let reported = 0;
  return new StdinSource(
    {
      readingsPerRequest: config.what.readingsPerRequest,
      requestsPerSecond: plan.requestsPerSecond,
      isStrict: config.what.strict,
    },
    systemClock,
    (line, what) => {
      reported++;
      if (reported <= REPORTED_FAULTS) stderr.write(`line ${line}: ${what}\n`);
      if (reported === REPORTED_FAULTS) stderr.write('further faulty lines are only counted\n');
    },
  );
}

function endBeforeStart(): never {
  throw new SinkError('SEND_FAILED', 'interrupted before anything was sent');
}

function endAtOnce(): never {
  throw new SinkError(
    'STOPPED_BY_SECOND_SIGNAL',
    'ended at once; what was underway may or may not be stored',
  );
}

/** SIGINT and SIGTERM, the first and the second apart. */
class StopSignals {
  readonly first: Promise<void>;
  readonly second: Promise<void>;
  readonly #onSignal: () => void;

  constructor() {
    const first = Promise.withResolvers<void>();
    const second = Promise.withResolvers<void>();
    this.first = first.promise;
    this.second = second.promise;
    let count = 0;
    this.#onSignal = () => (++count === 1 ? first : second).resolve();
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
  }

  close(): void {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
  }
}
