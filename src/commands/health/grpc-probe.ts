/**
 * One Check of the gRPC health protocol v1. The two messages are a string and an enum, so they are
 * written and read here by hand: a probe that runs every few seconds should not load a proto compiler.
 */
import { Client, credentials, status } from '@grpc/grpc-js';
import { securityHint } from '../channel-security.ts';

const STATUS_NAMES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

export interface ProbeResult {
  readonly isHealthy: boolean;
  /** One line without the address. */
  readonly text: string;
}

/**
 * With TLS the probe looks at no certificate: it asks this machine under a name that certificates seldom have, and
 * tells nothing secret.
 */
export async function probeGrpc(
  target: string,
  service: string,
  timeoutMs: number,
  isTls: boolean,
): Promise<ProbeResult> {
  const security = isTls
    ? credentials.createSsl(null, null, null, {
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      })
    : credentials.createInsecure();
  const client = new Client(target, security, {
    // An address is no name that a certificate could have, and Node warns of it.
    ...(isTls ? { 'grpc.ssl_target_name_override': 'localhost' } : {}),
    // A probe asks this machine; a proxy from the environment has no part in it.
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
  });
  try {
    return await new Promise((resolve) => {
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        encodeHealthRequest,
        decodeHealthStatus,
        service,
        { deadline: Date.now() + timeoutMs },
        (error, value) => {
          if (error !== null) {
            const code = status[error.code] ?? String(error.code);
            const hint = probeHint(error.details, isTls);
            const text = `${code}: ${firstLine(error.details)}${hint === undefined ? '' : `: ${hint}`}`;
            resolve({ isHealthy: false, text });
          } else {
            const name = STATUS_NAMES[value ?? 0] ?? `status ${value}`;
            resolve({ isHealthy: name === 'SERVING', text: name });
          }
        },
      );
    });
  } finally {
    client.close();
  }
}

/** A probe has no certificate to show. */
function probeHint(details: string, isTls: boolean): string | undefined {
  const hint = securityHint(details, isTls);
  return isTls && hint?.includes('--tls-cert')
    ? 'where the daemon asks for client certificates (TLS_CLIENT_CA), probe with --http'
    : hint;
}

/** `string service = 1`. */
export function encodeHealthRequest(service: string): Buffer {
  if (service === '') return Buffer.alloc(0);
  const text = Buffer.from(service);
  const head: number[] = [0x0a];
  let length = text.length;
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80);
  head.push(length);
  return Buffer.concat([Buffer.from(head), text]);
}

/** `ServingStatus status = 1`; anything else in the answer is not for us. */
export function decodeHealthStatus(bytes: Buffer): number {
  return bytes.length >= 2 && bytes[0] === 0x08 ? bytes[1]! : 0;
}

/** grpc-js appends what it learnt while resolving the name, mostly nothing. */
function firstLine(text: string): string {
  return text.split('\n', 1)[0]!.replace(/ *Resolution note: *$/, '');
}
