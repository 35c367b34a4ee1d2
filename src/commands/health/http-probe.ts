/** One GET of /readyz on the admin address; its JSON gives the reasons. */
import { get } from 'node:http';
import { errorMessage } from '../../base/errors.ts';
import type { ProbeResult } from './grpc-probe.ts';

const BODY_BYTES_MAX = 64 * 1024;

export function probeHttp(target: string, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const fail = (error: unknown): void => {
      const text = signal.aborted ? `no answer within ${timeoutMs}ms` : errorMessage(error);
      resolve({ isHealthy: false, text });
    };
    const request = get(`http://${target}/readyz`, { signal, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        if (body.length < BODY_BYTES_MAX) body += part;
      });
      response.on('error', fail);
      response.on('end', () => {
        const isHealthy = response.statusCode === 200;
        const line = body.replace(/\s+/g, ' ').trim().slice(0, 500);
        resolve({ isHealthy, text: `${response.statusCode} ${line}`.trim() });
      });
    });
    request.on('error', fail);
  });
}
