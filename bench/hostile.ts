/**
 * What attackers cost the honest: goodput at half of the daemon's maximum, without and with each attack of the corpus
 * (test/hostile), in pairs of neighbours. Exits with 1 when one costs more than `--most`. `npm run test:hostile` runs it behind the
 * corpus' own test.
 *
 *   every attack once ──lost half of what is allowed, or more──▶ --pairs of it ──▶ the median counts
 */

import { CORPUS } from '../test/hostile/corpus.ts';
import { Raiders } from '../test/hostile/raiders.ts';
import { BenchArguments, formatDurationMs } from './arguments.ts';
import { AttackedGoodput, type Goodput, type Pair } from './attacked-goodput.ts';
import { commonOptions, commonWish, daemonEnvironment, noteOf, transportName } from './common-options.ts';
import { CoreSpeed } from './core-speed.ts';
import { chooseOneCore, holdThisProcess } from './cores.ts';
import { DaemonUnderTest } from './daemon-under-test.ts';
import {
  figure,
  markdownTable,
  rounded,
  roundedSpread,
  type Spread,
  spreadOf,
  spreadText,
} from './figures.ts';
import { describeMachine } from './machine.ts';
import { measureMaximum } from './maximum.ts';
import { runPaced } from './paced-load.ts';
import { deliver, reprintCommand } from './results.ts';
import { makeScratch } from './scratch.ts';

const args = new BenchArguments('npm run bench:hostile: what each attack costs honest clients', {
  attack: { default: '', help: 'Only those whose names contain one of these' },
  readings: { default: '100', help: 'Readings per honest request' },
  share: { default: '0.5', help: 'Honest rate, as a share of the measured maximum' },
  addresses: {
    default: 'each',
    help: 'each: every honest client has an address of its own; one: all have the same, and are one client',
  },
  raiders: { default: '8', help: 'Attackers at a time' },
  duration: { default: '4s', help: 'Length of a run' },
  'maximum-duration': { default: '1s', help: 'Length of the run before each pair that finds the maximum' },
  steadiness: { default: '0.8', help: 'How slow the core may become within a pair for it to count' },
  pairs: { default: '5', help: 'Runs without and with an attack that may have cost too much' },
  most: { default: '0.1', help: 'Loss of goodput that is still allowed' },
  ...commonOptions,
});
const common = commonWish(args);
const durationMs = args.durationMs('duration');
const maximumDurationMs = args.durationMs('maximum-duration');
const pairCount = args.count('pairs');
const most = args.number('most');
const readings = args.count('readings');
const raiderCount = args.count('raiders');
const scratch = makeScratch(args.text('folder'));
const machine = describeMachine(scratch);
// The daemon has one core: attackers who do not share it could take nothing from anybody.
const allCores = chooseOneCore({ daemon: args.text('daemon-cores'), load: args.text('load-cores') });
const { cores, own } = holdThisProcess(allCores);
/** Clients without certificate or token are told apart by their addresses. Elsewhere loopback has but one. */
const hasAddresses = process.platform === 'linux';
const addressing = hasAddresses ? args.text('addresses') : 'one';
if (addressing !== 'each' && addressing !== 'one') args.fail(`--addresses ${addressing}: each or one`);
const RAIDERS_ADDRESS = hasAddresses ? '127.0.0.2' : undefined;
const honestAddresses = Array.from({ length: common.connections }, (_, i) => `127.0.1.${1 + (i % 250)}`);
/** Connecting and compiling are no part of the goodput. */
const WARM_UP_MS = 500;
const wanted = args.text('attack').split(',');
const attacks = CORPUS.filter(({ name }) => wanted.some((part) => name.includes(part)));
if (attacks.length === 0) args.fail(`--attack ${args.text('attack')}: none is called like that`);

interface Result {
  readonly attack: string;
  readonly transport: string;
  readonly pairs: readonly Pair[];
  /** Acknowledged per second, with the attack, of those without. */
  readonly goodput: Spread;
}

const raiders = new Raiders();
const coreSpeed = await CoreSpeed.start(cores);
const results: Result[] = [];
const rates: Record<string, Spread> = {};
let takenAgain = 0;
for (const transport of common.transports) {
  const environment = daemonEnvironment(transport, 'written', { INGEST_THREADS: '1', RETAIN_FILES: '2' });
  const daemon = await DaemonUnderTest.start({ parent: scratch, cores, environment });
  try {
    const all = await attackAll(daemon, transportName(transport));
    results.push(...all);
    rates[transportName(transport)] = spreadOf(
      all.flatMap(({ pairs }) => pairs.map(({ requestsPerSecond }) => requestsPerSecond)),
    );
    await daemon.stopBalanced();
  } finally {
    await daemon.remove();
  }
}
await raiders.close();
coreSpeed.stop();

async function attackAll(daemon: DaemonUnderTest, transport: string): Promise<readonly Result[]> {
  const shape = { ...common, cores, scratch, readingsPerRequest: readings };
  const measured = new AttackedGoodput(
    {
      coreSpeed: () => coreSpeed.now(),
      maximum: () => measureMaximum(daemon, shape, maximumDurationMs),
      honest: (requestsPerSecond) => honest(daemon, requestsPerSecond),
      attack: (name) => raiders.attack(name, daemon.grpc, raiderCount, RAIDERS_ADDRESS),
      endAttack: () => raiders.end(),
    },
    { share: args.number('share', 0.001), steadiness: args.number('steadiness') },
  );
  const found = new Map<string, Pair[]>();
  const take = async (name: string, pairs: Pair[]): Promise<void> => {
    const pair = await measured.pair(name);
    pairs.push(pair);
    console.error(`${transport}, ${name}: goodput ${percent(goodputOf(pair))}`);
  };
  for (const { name } of attacks) {
    const pairs: Pair[] = [];
    found.set(name, pairs);
    await take(name, pairs);
  }
  const doubtful = [...found].filter(([, [pair]]) => 1 - goodputOf(pair!) >= most / 2);
  // All of them in turn, so that the pairs of one lie minutes apart.
  for (let n = 1; n < pairCount; n++) for (const [name, pairs] of doubtful) await take(name, pairs);
  takenAgain += measured.takenAgain;
  return [...found].map(([attack, all]) => {
    const steady = all.filter(({ isSteady }) => isSteady);
    // One of which nothing can be said is shown all the same, and the verdict says so.
    const pairs = steady.length > 0 ? steady : all;
    return { attack, transport, pairs, goodput: spreadOf(pairs.map(goodputOf)) };
  });
}

function goodputOf({ calm, attacked }: Pair): number {
  // Where nothing is served without an attack either, nothing can be said in favour of it.
  return calm.share > 0 ? attacked.share / calm.share : 0;
}

async function honest(daemon: DaemonUnderTest, requestsPerSecond: number): Promise<Goodput> {
  const report = await runPaced({
    ...{ target: daemon.grpc, requestsPerSecond, readingsPerRequest: readings, scratch, cores },
    ...{ connections: common.connections, warmUpMs: WARM_UP_MS, durationMs },
    ...(addressing === 'each' ? { addresses: honestAddresses } : {}),
  });
  // Over the time that it took, so that what was acknowledged late counts as lost; and so does what was refused.
  const acknowledged = Math.max(0, report.requests - report.refused);
  const share = Math.min(1, (acknowledged / report.elapsedMs) * (1000 / requestsPerSecond));
  return { share, p99Ms: report.latencyMs.p99 };
}

function percent(share: number): string {
  return `${figure(share * 100)}%`;
}

/** Goodput as printed: of one pair, or the median of several with their ends. */
function goodputText({ goodput: { median, min, max }, pairs }: Result): string {
  return pairs.length === 1 ? percent(median) : `${percent(median)} (${percent(min)} to ${percent(max)})`;
}

const medianOf = ({ pairs }: Result, of: (pair: Pair) => number): number => spreadOf(pairs.map(of)).median;
const lost = ({ goodput }: Result): number => 1 - goodput.median;
const tooMuch = results.filter((result) => lost(result) > most);
const unknown = results.filter(({ pairs }) => !pairs[0]!.isSteady);
const namesOf = (some: readonly Result[]): string =>
  some.map(({ transport, attack }) => `${attack} (${transport})`).join(', ');
const header = [
  'transport',
  'attack',
  'goodput',
  'pairs',
  'p99 ms',
  'p99 ms without',
  'attackers came',
  'MiB they sent',
  'maximum behind it',
];
const rows = results.map((result) => [
  result.transport,
  result.attack,
  goodputText(result),
  String(result.pairs.length),
  figure(medianOf(result, ({ attacked }) => attacked.p99Ms)),
  figure(medianOf(result, ({ calm }) => calm.p99Ms)),
  figure(medianOf(result, ({ raiderConnections }) => raiderConnections)),
  figure(medianOf(result, ({ raiderBytes }) => raiderBytes) / (1 << 20)),
  percent(medianOf(result, ({ maximumKept }) => maximumKept)),
]);
const verdict = [
  tooMuch.length === 0
    ? `No attack cost more than ${percent(most)}.`
    : `Cost more than ${percent(most)}: ${namesOf(tooMuch)}.`,
  ...(unknown.length === 0
    ? []
    : [`Never on a machine like itself, so nothing is shown: ${namesOf(unknown)}.`]),
].join(' ');
const rateText = Object.entries(rates)
  .map(([transport, rate]) => `${transport}: ${spreadText(rate)} requests/s`)
  .join(', ');
deliver(
  {
    name: 'hostile',
    title: 'What attackers cost the honest',
    command: reprintCommand('bench:hostile'),
    machine,
    conditions: [
      `Honest load: open loop (bench/paced-clients.ts), ${readings} readings per request over ${common.connections} connections (${addressing === 'each' ? 'each with an address of its own' : 'all with one address: one client'}), at ${args.text('share')} of the maximum that was measured right before (${rateText}).`,
      `${raiderCount} attackers at a time, each back as soon as it is thrown out, as fast as the daemon takes it.`,
      'Goodput: requests acknowledged per second with the attack, of those without. ACK=written, one ingest thread.',
      `${formatDurationMs(durationMs)} each. An attack that cost ${percent(most / 2)} or more was run ${pairCount} times, and the median counts (in brackets, the ends).`,
      `${takenAgain} pairs were taken again because the core became slower than ${args.text('steadiness')} of what it was, or was too slow without an attack (bench/attacked-goodput.ts).`,
      'Maximum behind it: of the maximum before the pair, at the same speed of the core (what an attack leaves behind would show).',
      `Pinned: ${cores.text}; attackers on ${own}${RAIDERS_ADDRESS === undefined ? '' : `, from an address of their own`}.`,
      ...noteOf(args),
    ],
    body: `${markdownTable([header, ...rows])}\n\n${verdict}`,
    figures: {
      most_loss: most,
      requests_per_second: Object.fromEntries(
        Object.entries(rates).map(([transport, rate]) => [transport, roundedSpread(rate)]),
      ),
      goodput: roundedSpread(spreadOf(results.map(({ goodput }) => goodput.median))),
      taken_again: takenAgain,
      not_shown: unknown.map(({ attack, transport }) => ({ attack, transport })),
      attacks: results.map((result) => ({
        attack: result.attack,
        transport: result.transport,
        goodput: roundedSpread(result.goodput),
        lost: rounded(lost(result)),
        pairs: result.pairs,
      })),
    },
  },
  common,
);
if (tooMuch.length + unknown.length > 0) process.exitCode = 1;
