/**
 * Decompression of one request, bounded and at once.
 *
 * grpc-js would inflate in the thread pool, many requests side by side, each bounded by the size limit
 * alone; here one is inflated at a time and handed on, so a flood of small bombs costs one buffer, and
 * an ordinary small request does not pay for a stream object and a thread switch.
 */
import { gunzipSync, inflateSync } from 'node:zlib';
import { GRPC_STATUS } from './status.ts';

/** gRPC frames a message as one flag byte and a length of four. */
export const FRAME_HEADER_BYTES = 5;

/** What grpc-js expects to be thrown: it answers the call with it. */
export interface StatusThrown {
  readonly code: number;
  readonly details: string;
}

export function boundedInflate(maxBytes: number): (framedMessage: Buffer, encoding: string) => Buffer {
  const options = { maxOutputLength: maxBytes };
  return (framedMessage, encoding) => {
    const content = framedMessage.subarray(FRAME_HEADER_BYTES);
    const flag = framedMessage[0]!;
    if (flag > 1)
      throw fault(GRPC_STATUS.INTERNAL, `a message starts with flag ${flag}, only 0 and 1 have a meaning`);
    if (flag === 0) return content;
    if (encoding === 'identity') {
      throw fault(GRPC_STATUS.INTERNAL, 'a message is flagged as compressed, but no grpc-encoding says how');
    }
    if (encoding !== 'gzip' && encoding !== 'deflate') {
      throw fault(
        GRPC_STATUS.UNIMPLEMENTED,
        `grpc-encoding "${encoding}" is not supported, gzip and deflate are`,
      );
    }
    try {
      return encoding === 'gzip' ? gunzipSync(content, options) : inflateSync(content, options);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        throw fault(GRPC_STATUS.RESOURCE_EXHAUSTED, `the request inflates to more than ${maxBytes} bytes`);
      }
      throw fault(GRPC_STATUS.INTERNAL, `the ${encoding} content of the request is damaged`);
    }
  };
}

function fault(code: number, details: string): StatusThrown {
  return { code, details };
}
