/**
 * What attackers cost the honest: goodput at half of the daemon's maximum, without and with each attack of the corpus
 * (test/hostile). Exits with 1 when one costs more than `--most`. `npm run test:hostile` runs it behind the corpus' own test.
 */

import { CORPUS } from '../test/hostile/corpus.ts';
import { Raiders } from '../test/hostile/raiders.ts';
import { BenchArguments, formatDurationMs } from './arguments.ts';
import { commonOptions, commonWish, daemonEnvironment, noteOf, transportName } from './common-options.ts';
import { chooseOneCore, holdThisProcess } from './cores.ts';
import { DaemonUnderTest } from './daemon-under-test.ts';
import { figure, markdownTable, rounded, spreadOf } from './figures.ts';
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
  most: { default: '0.1', help: 'Loss of goodput that is still allowed' },
  ...commonOptions,
});
const common = commonWish(args);
const durationMs = args.durationMs('duration');
const most = args.number('most');
const readings = args.count('readings');
const raiderCount = args.count('raiders');
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
  /** Acknowledged of what was planned. */
  readonly calm: number;
  readonly attacked: number;
  readonly p99CalmMs: number;
  readonly p99AttackedMs: number;
  readonly raiderConnections: number;
  readonly raiderBytes: number;
}

const scratch = makeScratch(args.text('folder'));
const machine = describeMachine(scratch);
const raiders = new Raiders();
const results: Result[] = [];
const rates: Record<string, number> = {};
for (const transport of common.transports) {
  const environment = daemonEnvironment(transport, 'written', { INGEST_THREADS: '1', RETAIN_FILES: '2' });
  const daemon = await DaemonUnderTest.start({ parent: scratch, cores, environment });
  try {
    const shape = { ...common, cores, scratch, readingsPerRequest: readings };
    const requestsPerSecond = (await measureMaximum(daemon, shape, 3000)) * args.number('share', 0.001);
    rates[transportName(transport)] = Math.round(requestsPerSecond);
    let calm: Honest | undefined;
    for (const [i, { name }] of attacks.entries()) {
      // The calm is measured anew now and then: the machine has other work, and not always the same.
      if (calm === undefined || i % 5 === 0) calm = await honest(daemon, requestsPerSecond);
      await raiders.attack(name, daemon.grpc, raiderCount, RAIDERS_ADDRESS);
      const attacked = await honest(daemon, requestsPerSecond);
      const { connections, bytes } = await raiders.end();
      results.push({
        attack: name,
        transport: transportName(transport),
        calm: calm.share,
        attacked: attacked.share,
        p99CalmMs: calm.p99Ms,
        p99AttackedMs: attacked.p99Ms,
        raiderConnections: connections,
        raiderBytes: bytes,
      });
      console.error(`${transportName(transport)}, ${name}: goodput ${percent(attacked.share / calm.share)}`);
    }
    await daemon.stopBalanced();
  } finally {
    await daemon.remove();
  }
}
await raiders.close();

interface Honest {
  readonly share: number;
  readonly p99Ms: number;
}

async function honest(daemon: DaemonUnderTest, requestsPerSecond: number): Promise<Honest> {
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

const lost = ({ calm, attacked }: Result): number => 1 - attacked / calm;
const tooMuch = results.filter((result) => lost(result) > most);
const header = [
  'transport',
  'attack',
  'goodput',
  'p99 ms',
  'p99 ms without',
  'attackers came',
  'MiB they sent',
];
const rows = results.map((result) => [
  result.transport,
  result.attack,
  percent(result.attacked / result.calm),
  figure(result.p99AttackedMs),
  figure(result.p99CalmMs),
  String(result.raiderConnections),
  figure(result.raiderBytes / (1 << 20)),
]);
const verdict =
  tooMuch.length === 0
    ? `No attack cost more than ${percent(most)}.`
    : `Cost more than ${percent(most)}: ${tooMuch.map(({ transport, attack }) => `${attack} (${transport})`).join(', ')}.`;
deliver(
  {
    name: 'hostile',
    title: 'What attackers cost the honest',
    command: reprintCommand('bench:hostile'),
    machine,
    conditions: [
      `Honest load: open loop (bench/paced-clients.ts), ${readings} readings per request over ${common.connections} connections (${addressing === 'each' ? 'each with an address of its own' : 'all with one address: one client'}), at ${args.text('share')} of the maximum measured before (${Object.entries(
        rates,
      )
        .map(([transport, rate]) => `${transport}: ${rate} requests/s`)
        .join(', ')}).`,
      `${raiderCount} attackers at a time, each back as soon as it is thrown out, as fast as the daemon takes it.`,
      'Goodput: requests acknowledged per second with the attack, of those without. ACK=written, one ingest thread.',
      `${formatDurationMs(durationMs)} each. Pinned: ${cores.text}; attackers on ${own}${RAIDERS_ADDRESS === undefined ? '' : `, from an address of their own`}.`,
      ...noteOf(args),
    ],
    body: `${markdownTable([header, ...rows])}\n\n${verdict}`,
    figures: {
      most_loss: most,
      requests_per_second: rates,
      goodput: spreadOf(results.map(({ calm, attacked }) => attacked / calm)),
      attacks: results.map((result) => ({ ...result, lost: rounded(lost(result)) })),
    },
  },
  common,
);
if (tooMuch.length > 0) process.exitCode = 1;
