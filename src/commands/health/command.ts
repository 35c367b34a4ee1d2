/** `health`: one question to a running daemon, one line, exit 0 or 1. Made for container probes. */
import { adminOptions } from '../../admin/config.ts';
import { SinkError } from '../../base/errors.ts';
import { optionGroup } from '../../base/option.ts';
import { grpcOptions } from '../../grpc/config.ts';
import { command } from '../command.ts';
import { probeAddress } from './probe-address.ts';

const healthOptions = optionGroup({
  title: 'Health',
  options: {
    http: {
      flag: 'http',
      type: 'boolean',
      default: 'false',
      help: 'Ask /readyz on ADMIN_SOCKET instead of the gRPC health service',
    },
    service: {
      flag: 'service',
      type: 'string',
      default: '',
      help: 'gRPC service to ask for, such as sensor.v1.SensorService; none asks for the server as a whole',
    },
    timeoutMs: {
      flag: 'timeout',
      type: 'duration',
      min: 1,
      max: 600_000,
      default: '3s',
      help: 'Give up after this long',
    },
    tls: {
      flag: 'tls',
      type: 'boolean',
      default: 'false',
      help: 'Ask over TLS; also when TLS_CERT is set, as it is for the daemon',
    },
    tlsCertificate: grpcOptions.options.tlsCertificate,
    grpcServerSocket: grpcOptions.options.grpcServerSocket,
    adminSocket: adminOptions.options.adminSocket,
  },
});

export const healthCommand = command({
  name: 'health',
  summary: 'Ask a running daemon whether it serves; for container probes',
  description:
    'Asks the daemon on this machine at the address that GRPC_SERVER_SOCKET (or ADMIN_SOCKET with --http) gives, prints one line and exits 0 when it serves, 1 when it does not or does not answer.',
  examples: [
    { line: 'telemetry-sink health', help: 'gRPC health check' },
    { line: 'telemetry-sink health --http --timeout 1s', help: 'readiness, with the reasons' },
  ],
  exitStatuses: { 0: 'it serves', 1: 'it does not, or does not answer' },
  groups: { health: healthOptions },
  async run({ health }, io) {
    const name = health.http ? 'ADMIN_SOCKET' : 'GRPC_SERVER_SOCKET';
    const target = probeAddress(health.http ? health.adminSocket : health.grpcServerSocket);
    if (target === undefined) {
      throw new SinkError('CONFIG_INVALID', `${name} has port 0, so the probe cannot know where to ask`);
    }
    const { isHealthy, text } = health.http
      ? await (await import('./http-probe.ts')).probeHttp(target, health.timeoutMs)
      : await (await import('./grpc-probe.ts')).probeGrpc(
          target,
          health.service,
          health.timeoutMs,
          health.tls || health.tlsCertificate !== '',
        );
    io.stdout.write(`${target} ${text}\n`);
    return isHealthy ? 0 : 1;
  },
});
