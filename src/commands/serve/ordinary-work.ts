/**
 * The work that an ordinary request makes, done for nothing: what the time that others' requests take is held against
 * (src/grpc/native/dear-limit.ts). It is an encoder's, and that is most of what a request costs. It is done the general way, for
 * that is what clients may need whose readings do not have the usual shape, and they do nothing wrong.
 */
import { invariant } from '../../base/assert.ts';
import { ByteBuffer } from '../../base/byte-buffer.ts';
import { KiB } from '../../base/byte-size.ts';
import type { OrdinaryWork } from '../../grpc/server.ts';
import { LineEncoder } from '../../ingest/line-encoder.ts';
import { RequestEncoder, sensorNameField } from '../send/request-encoder.ts';

/** As gateways send them: long enough to be timed, and short enough to be done in between. */
const READINGS = 100;
const FIRST_SECOND = Date.UTC(2026, 0, 1) / 1000;
const NO_LABELS = new Uint8Array();
/** Room for its lines: below 250 bytes each. */
const LINE_BYTES = 25 * KiB;

export function ordinaryWork(): OrdinaryWork {
  const request = ordinaryRequest();
  const encoder = new LineEncoder(undefined);
  const lines = new ByteBuffer(LINE_BYTES);
  const run = (): number => {
    lines.length = 0;
    return encoder.encode(request, FIRST_SECOND * 1000, lines, LINE_BYTES);
  };
  invariant(run() === READINGS, 'an ordinary request was refused');
  return { requestBytes: request.length, run };
}

function ordinaryRequest(): Uint8Array {
  const request = new RequestEncoder();
  request.begin();
  for (let i = 0; i < READINGS; i++) {
    request.setInt(20_000 + 7 * i);
    request.append(
      sensorNameField(`sensor-${10_000 + i}`),
      FIRST_SECOND + (i >> 4),
      1_000_003 * i,
      NO_LABELS,
    );
  }
  return request.finish();
}
