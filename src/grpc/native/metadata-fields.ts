/** Metadata of grpc-js from and to header fields ("Custom-Metadata" of gRPC over HTTP/2). */
import { Metadata } from '@grpc/grpc-js';
import type { HeaderField } from './hpack-tables.ts';
import type { Fields } from './response-headers.ts';
import { base64 } from './status-fields.ts';

/** What the protocol itself uses; handlers do not see it. */
const RESERVED = new Set([
  'content-type',
  'content-length',
  'te',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-timeout',
]);

export function metadataOf(fields: readonly HeaderField[]): Metadata {
  const metadata = new Metadata();
  for (const { name, value } of fields) {
    if (RESERVED.has(name)) continue;
    try {
      if (!name.endsWith('-bin')) metadata.add(name, value);
      // Several binary values may be joined with commas, which base64 does not use.
      else for (const part of value.split(',')) metadata.add(name, Buffer.from(part, 'base64'));
    } catch {
      // Legal in HTTP, not in gRPC: a handler that looked for it would not find it on grpc-js either.
    }
  }
  return metadata;
}

export function fieldsOf(metadata: Metadata | undefined): Fields {
  if (metadata === undefined) return [];
  const fields: [string, string][] = [];
  for (const name of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(name))
      fields.push([name, typeof value === 'string' ? value : base64(value)]);
  }
  return fields;
}
