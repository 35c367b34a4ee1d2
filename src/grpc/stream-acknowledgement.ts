/** StreamAck as bytes: requests acknowledged so far on this stream, with the prefix that gRPC asks for. */

/** Prefix, tag, and seven groups of seven bits: beyond 2^49 requests no stream lives. */
export const ACKNOWLEDGEMENT_MAX_BYTES = 5 + 1 + 8;
/** Field 1, varint. */
const REQUESTS_TAG = 0x08;

/** Writes to the start of `out`; returns the part that was written. */
export function frameAcknowledgement(out: Buffer, requests: number): Buffer {
  let at = 5;
  out[at++] = REQUESTS_TAG;
  let rest = requests;
  while (rest >= 0x80) {
    out[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[at++] = rest;
  out[0] = 0;
  out.writeUInt32BE(at - 5, 1);
  return out.subarray(0, at);
}
