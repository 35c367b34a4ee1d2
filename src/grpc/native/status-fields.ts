/** A status as the trailers that carry it ("Responses" of gRPC over HTTP/2). */
import { DETAILS_HEADER, PUSHBACK_HEADER, type StatusTrailers } from '../status.ts';
import { type Fields, percentEncode } from './response-headers.ts';

export function statusFields(status: StatusTrailers): Fields {
  const fields: [string, string][] = [['grpc-status', String(status.code)]];
  if (status.message !== '') fields.push(['grpc-message', percentEncode(status.message)]);
  if (status.pushback !== undefined) fields.push([PUSHBACK_HEADER, status.pushback]);
  // Binary values travel as base64, without padding.
  if (status.details !== undefined) fields.push([DETAILS_HEADER, base64(status.details)]);
  return fields;
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}
