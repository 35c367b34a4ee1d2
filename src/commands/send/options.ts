/** The options of `send`, and how they become a LoadPlan. */

import { randomUUID } from 'node:crypto';
import { formatListenAddress } from '../../base/listen-address.ts';
import type { GroupValues } from '../../base/option.ts';
import { optionGroup } from '../../base/option.ts';
import { grpcOptions } from '../../grpc/config.ts';
import type { TlsWish } from '../channel-security.ts';
import type { LoadPlan } from './plan.ts';

const MOST = Number.MAX_SAFE_INTEGER;
/** What a bare `telemetry-sink send` sends: enough to look at, over in a moment. */
const DEFAULT_COUNT = 10_000;

export const whatOptions = optionGroup({
  title: 'What to send',
  options: {
    count: {
      flag: 'count',
      short: 'n',
      type: 'integer',
      unit: 'readings',
      min: 0,
      max: MOST,
      zero: `until --duration ends, or ${DEFAULT_COUNT} without one`,
      default: '0',
      help: 'Readings to deliver in total, exactly',
    },
    sensors: {
      flag: 'sensors',
      type: 'integer',
      unit: 'sensors',
      min: 1,
      max: 10_000_000,
      default: '100',
      help: 'Sensors to simulate; each request carries the readings of one',
    },
    readingsPerRequest: {
      flag: 'readings-per-request',
      short: 'b',
      type: 'integer',
      unit: 'readings',
      min: 1,
      max: 1_000_000,
      default: '100',
      help: 'Readings in each request (batch size)',
    },
    valueKind: {
      flag: 'value-kind',
      type: 'enum',
      values: ['int', 'double', 'bool', 'string', 'mixed'],
      default: 'int',
      help: "What sensors measure; int counts each sensor's readings from 1, so that every reading is unique",
    },
    labels: {
      flag: 'labels',
      short: 'l',
      type: 'list',
      default: '',
      help: 'A label for every reading, key=value; may be given more than once',
    },
    sensorPrefix: {
      flag: 'sensor-prefix',
      type: 'string',
      default: 'sensor-',
      help: 'What sensor names begin with; a number follows',
    },
    seed: {
      flag: 'seed',
      type: 'integer',
      unit: 'seed',
      min: 0,
      max: 0xffff_ffff,
      default: '1',
      help: 'The same seed and options give the same readings',
    },
    exactlyOnce: {
      flag: 'exactly-once',
      type: 'boolean',
      default: 'false',
      help: 'Number the readings, each sensor being a producer of this run, so that the daemon drops repeats; one request of a sensor at a time',
    },
    producerId: {
      flag: 'producer-id',
      type: 'string',
      default: '',
      help: 'With --exactly-once: what producer ids begin with, the sensor follows; the same again repeats a run. Default: made up for each run',
    },
    numbered: {
      flag: 'numbered',
      type: 'boolean',
      default: 'false',
      help: 'Number the readings (producer_id and first_sequence), each sensor being a producer',
    },
    stdin: {
      flag: 'stdin',
      type: 'boolean',
      default: 'false',
      help: "Send JSON lines from standard input, with the keys of the journal's lines, instead of simulating",
    },
    strict: {
      flag: 'strict',
      type: 'boolean',
      default: 'false',
      help: 'With --stdin: stop at the first faulty line instead of skipping it',
    },
  },
});

export const paceOptions = optionGroup({
  title: 'How fast',
  options: {
    rate: {
      flag: 'rate',
      short: 'r',
      type: 'number',
      unit: 'readings/s',
      min: 0.001,
      max: 1e9,
      zero: 'as fast as the daemon answers',
      default: '0',
      help: 'Readings per second, whatever the daemon does (open loop); latency counts from the planned start',
    },
    requestsPerSecond: {
      flag: 'requests-per-second',
      type: 'number',
      unit: 'requests/s',
      min: 0.001,
      max: 1e8,
      zero: 'as fast as the daemon answers',
      default: '0',
      help: 'The same as --rate, counted in requests',
    },
    duration: {
      flag: 'duration',
      short: 'd',
      type: 'duration',
      min: 1,
      max: 365 * 86_400_000,
      zero: 'until --count is reached',
      default: '0',
      help: 'Take no new requests after this long',
    },
    connections: {
      flag: 'connections',
      short: 'c',
      type: 'integer',
      unit: 'connections',
      min: 1,
      max: 100_000,
      default: '4',
      help: 'TCP connections, used in turn',
    },
    concurrency: {
      flag: 'concurrency',
      type: 'integer',
      unit: 'requests',
      min: 1,
      max: 1_000_000,
      zero: '8 per connection, with a rate 1000 or 50 per connection',
      default: '0',
      help: 'Most requests underway at once, those waiting for a retry included',
    },
    threads: {
      flag: 'threads',
      type: 'integer',
      unit: 'threads',
      min: 1,
      max: 256,
      default: '1',
      help: 'Threads to send from; one is good for some 15,000 requests/s',
    },
  },
});

export const deliveryOptions = optionGroup({
  title: 'Delivery',
  options: {
    target: {
      ...grpcOptions.options.grpcServerSocket,
      flag: 'target',
      short: 't',
      help: 'Address of the daemon',
    },
    gzip: { flag: 'gzip', type: 'boolean', default: 'false', help: 'Compress the requests' },
    tokenFile: {
      env: 'SEND_TOKEN_FILE',
      flag: 'token-file',
      type: 'path',
      default: '',
      help: 'File with the bearer token to send, and nothing else in it',
    },
    tls: {
      flag: 'tls',
      type: 'boolean',
      default: 'false',
      help: 'Speak TLS, and trust the authorities that this machine trusts',
    },
    tlsAuthority: {
      env: 'SEND_TLS_CA',
      flag: 'tls-ca',
      type: 'path',
      default: '',
      help: 'Speak TLS, and trust the authority in this PEM file',
    },
    tlsCertificate: {
      env: 'SEND_TLS_CERT',
      flag: 'tls-cert',
      type: 'path',
      default: '',
      help: 'Speak TLS, and show the certificate in this PEM file',
    },
    tlsKey: {
      env: 'SEND_TLS_KEY',
      flag: 'tls-key',
      type: 'path',
      default: '',
      help: 'PEM file of the private key of --tls-cert',
    },
    tlsServerName: {
      flag: 'tls-server-name',
      type: 'string',
      default: '',
      help: 'Name to expect in the certificate of the daemon, where it is not the one that is dialled',
    },
    timeout: {
      flag: 'timeout',
      type: 'duration',
      min: 1,
      max: 3_600_000,
      default: '10s',
      help: 'Deadline of each attempt',
    },
    retries: {
      flag: 'retries',
      type: 'string',
      default: 'unlimited',
      help: 'Retries per request before it counts as undelivered: a number, or unlimited',
    },
    connectTimeout: {
      flag: 'connect-timeout',
      type: 'duration',
      min: 0,
      max: 86_400_000,
      default: '30s',
      help: 'How long to wait for a daemon that does not answer, at the start and later',
    },
  },
});

export const reportOptions = optionGroup({
  title: 'Report',
  options: {
    json: { flag: 'json', type: 'boolean', default: 'false', help: 'Print the summary as one JSON object' },
    quiet: { flag: 'quiet', short: 'q', type: 'boolean', default: 'false', help: 'No progress' },
    acknowledgedLog: {
      flag: 'acknowledged-log',
      type: 'path',
      default: '',
      help: 'Append a JSON line for each acknowledged request to this file',
    },
  },
});

export interface SendConfig {
  readonly what: GroupValues<typeof whatOptions>;
  readonly pace: GroupValues<typeof paceOptions>;
  readonly delivery: GroupValues<typeof deliveryOptions>;
  readonly report: GroupValues<typeof reportOptions>;
}

export function checkSend({ what, pace, delivery }: SendConfig): readonly string[] {
  const faults: string[] = [];
  if (pace.rate > 0 && pace.requestsPerSecond > 0) {
    faults.push('--rate and --requests-per-second say the same thing twice; give one');
  }
  if (pace.threads > pace.connections) {
    faults.push(
      `--threads ${pace.threads} needs as many connections or more; --connections is ${pace.connections}`,
    );
  }
  const concurrency = concurrencyOf(pace);
  if (pace.threads > concurrency) {
    faults.push(`--threads ${pace.threads} needs a --concurrency as high; it is ${concurrency}`);
  }
  if (!/^(unlimited|\d{1,9})$/.test(delivery.retries)) {
    faults.push(`--retries=${delivery.retries} is neither a number nor unlimited`);
  }
  if ((delivery.tlsCertificate === '') !== (delivery.tlsKey === '')) {
    faults.push('--tls-cert and --tls-key belong together; give both');
  }
  if (delivery.tlsServerName !== '' && !tlsWish(delivery).isOn) {
    faults.push('--tls-server-name is for TLS; say --tls or --tls-ca too');
  }
  if (delivery.target.port === 0) faults.push('--target has port 0; a daemon listens on 1 to 65535');
  for (const label of what.labels) {
    if (label.indexOf('=') < 1) faults.push(`--labels ${label} is not key=value`);
  }
  if (what.producerId !== '' && !what.exactlyOnce) faults.push('--producer-id is for --exactly-once');
  if (what.exactlyOnce) {
    if (what.numbered) faults.push('--exactly-once numbers the readings itself; leave --numbered out');
    if (what.stdin)
      faults.push('--exactly-once is for the simulated fleet; lines of --stdin have no numbers');
    if (pace.threads > 1)
      faults.push(
        '--exactly-once keeps the order of each sensor and sends from one thread; leave --threads out',
      );
    if (Buffer.byteLength(what.producerId) > 128) faults.push('--producer-id has more than 128 bytes');
  }
  if (what.strict && !what.stdin) faults.push('--strict is for --stdin');
  if (what.stdin) {
    if (pace.threads > 1) faults.push('--stdin is read by one thread; leave --threads out');
    if (what.count > 0) faults.push('--stdin sends every line there is; leave --count out');
  }
  return faults;
}

function tlsWish(delivery: SendConfig['delivery']): TlsWish {
  const { tls, tlsAuthority, tlsCertificate, tlsKey, tlsServerName } = delivery;
  const given = (text: string): string | undefined => (text === '' ? undefined : text);
  return {
    isOn: tls || tlsAuthority !== '' || tlsCertificate !== '',
    authority: given(tlsAuthority),
    certificate: given(tlsCertificate),
    key: given(tlsKey),
    serverName: given(tlsServerName),
  };
}

function concurrencyOf(pace: SendConfig['pace']): number {
  if (pace.concurrency > 0) return pace.concurrency;
  const isOpenLoop = pace.rate > 0 || pace.requestsPerSecond > 0;
  return isOpenLoop ? Math.max(1000, pace.connections * 50) : pace.connections * 8;
}

export function loadPlan({ what, pace, delivery, report }: SendConfig): LoadPlan {
  const requestsPerSecond = pace.rate > 0 ? pace.rate / what.readingsPerRequest : pace.requestsPerSecond;
  const durationMs = pace.duration > 0 ? pace.duration : undefined;
  const openCount = durationMs === undefined ? DEFAULT_COUNT : Number.POSITIVE_INFINITY;
  return {
    target: dialAddress(delivery.target),
    requestsPerSecond: requestsPerSecond > 0 ? requestsPerSecond : undefined,
    durationMs,
    connections: pace.connections,
    concurrency: concurrencyOf(pace),
    gzip: delivery.gzip,
    exactlyOnce: what.exactlyOnce,
    tls: tlsWish(delivery),
    tokenFile: delivery.tokenFile === '' ? undefined : delivery.tokenFile,
    timeoutMs: delivery.timeout,
    retries: delivery.retries === 'unlimited' ? Number.POSITIVE_INFINITY : Number(delivery.retries),
    connectTimeoutMs: delivery.connectTimeout,
    acknowledgedLog: report.acknowledgedLog === '' ? undefined : report.acknowledgedLog,
    seed: what.seed,
    fleet: what.stdin
      ? undefined
      : {
          sensors: what.sensors,
          sensorPrefix: what.sensorPrefix,
          readingsPerRequest: what.readingsPerRequest,
          totalReadings: what.count > 0 ? what.count : openCount,
          valueKind: what.valueKind,
          labels: Object.fromEntries(what.labels.map(splitLabel)),
          seed: what.seed,
          numbered: what.numbered || what.exactlyOnce,
          producerPrefix: what.exactlyOnce ? `${what.producerId || `send-${randomUUID().slice(0, 8)}`}/` : '',
        },
  };
}

function splitLabel(label: string): [string, string] {
  const equals = label.indexOf('=');
  return [label.slice(0, equals), label.slice(equals + 1)];
}

/** A listen address is not always one to dial: every interface means this machine. */
function dialAddress({ host, port }: SendConfig['delivery']['target']): string {
  const isEverywhere = host === '' || host === '0.0.0.0' || host === '::';
  return formatListenAddress(isEverywhere ? 'localhost' : host, port);
}
