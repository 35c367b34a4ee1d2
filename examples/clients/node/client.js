/**
 * A sensor client in Node: readings in batches, a deadline on every call, a retry policy in the service
 * config, and a loop around it for outages that outlast the policy.
 *
 *   node client.js <host:port> <readings>
 *
 * SINK_TLS_CA, SINK_TLS_CERT and SINK_TLS_KEY name PEM files: the authority to trust, and for mutual TLS a certificate
 * and its key. Without them it speaks plaintext.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const PROTO_FOLDER = fileURLToPath(new URL('../../../proto', import.meta.url));

// What the library retries by itself. It waits as long as the daemon says (grpc-retry-pushback-ms) and
// gives up when the daemon says never (-1). Five attempts are the most it allows.
const SERVICE_CONFIG = {
  methodConfig: [
    {
      name: [{ service: 'sensor.v1.SensorService' }],
      waitForReady: true,
      timeout: '10s',
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: '0.1s',
        maxBackoff: '5s',
        backoffMultiplier: 2,
        retryableStatusCodes: ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'],
      },
    },
  ],
};

const READINGS_PER_REQUEST = 100;
const REPEATABLE = new Set([
  grpc.status.UNAVAILABLE,
  grpc.status.RESOURCE_EXHAUSTED,
  grpc.status.DEADLINE_EXCEEDED,
]);

function security() {
  const pem = (path) => (path === undefined ? null : readFileSync(path));
  const { SINK_TLS_CA, SINK_TLS_CERT, SINK_TLS_KEY } = process.env;
  return SINK_TLS_CA === undefined
    ? grpc.credentials.createInsecure()
    : grpc.credentials.createSsl(pem(SINK_TLS_CA), pem(SINK_TLS_KEY), pem(SINK_TLS_CERT));
}

function reading(number) {
  const nowMs = Date.now();
  return {
    sensor_name: 'node-1',
    measurement: {
      // A string: an int64 can hold more than a JavaScript number.
      sensor_value: { value: String(number) },
      created_at: { seconds: Math.floor(nowMs / 1000), nanos: (nowMs % 1000) * 1e6 },
    },
    labels: { client: 'node' },
  };
}

function worthRepeating(error) {
  const pushback = error.metadata.get('grpc-retry-pushback-ms')[0];
  return !String(pushback ?? '').startsWith('-') && REPEATABLE.has(error.code);
}

/** Repeats a request until it is acknowledged or can never be. */
async function deliver(client, request) {
  for (;;) {
    const error = await new Promise((resolve) => {
      client.sendSensorValues(request, { deadline: Date.now() + 10_000 }, resolve);
    });
    if (error === null) return;
    if (!worthRepeating(error)) throw error;
    process.stderr.write(`will try again: ${error.message}\n`);
    await sleep(1000);
  }
}

const [target, countText] = process.argv.slice(2);
const count = Number(countText);
if (target === undefined || !Number.isInteger(count)) {
  process.stderr.write('usage: client.js <host:port> <readings>\n');
  process.exit(2);
}

const definition = protoLoader.loadSync('sensor/v1/sensor.proto', {
  includeDirs: [PROTO_FOLDER],
  keepCase: true,
});
const { SensorService } = grpc.loadPackageDefinition(definition).sensor.v1;
const client = new SensorService(target, security(), {
  'grpc.service_config': JSON.stringify(SERVICE_CONFIG),
  'grpc.keepalive_time_ms': 300_000,
  'grpc.keepalive_timeout_ms': 20_000,
});

for (let first = 1; first <= count; first += READINGS_PER_REQUEST) {
  const last = Math.min(first + READINGS_PER_REQUEST - 1, count);
  const items = Array.from({ length: last - first + 1 }, (_, index) => reading(first + index));
  try {
    await deliver(client, { items });
  } catch (error) {
    process.stderr.write(`readings from ${first} on were not delivered: ${error.message}\n`);
    process.exit(1);
  }
}
client.close();
process.stdout.write(`node: ${count} readings acknowledged\n`);
