/**
 * From HEADERS and CONTINUATION frames to request heads and trailers (RFC 9113 sections 6.2, 6.10, 8).
 *
 *   HEADERS ──END_HEADERS──▶ block ──stream id above the last──▶ request head ─▶ sink
 *      └──▶ HeaderAssembly ──▶ ┘└──stream id seen before──▶ trailers (or a fault) ─▶ sink
 *
 * Invariant: every header block is decoded, wanted or not, as the tables of both sides must stay the same.
 */
import { HeaderAssembly } from './header-assembly.ts';
import { HeaderCache } from './header-cache.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HEADER_TABLE_BYTES } from './limits.ts';
import { FLAG, MAX_STREAM_ID, protocolFault, sizeFault } from './protocol.ts';
import type { RequestHead, RequestHeadBuilder, TrailerCheck } from './request-head.ts';

export interface HeadersSink {
  /** The highest stream id that a request came on. */
  readonly lastStreamId: number;
  onRequestHead(streamId: number, isLast: boolean, dependsOnItself: boolean, head: RequestHead): void;
  onTrailers(streamId: number, isLast: boolean, isMalformed: boolean): void;
}

/** Scratch space, shared by the connections of a thread. */
export interface HeaderScratch {
  readonly head: RequestHeadBuilder;
  readonly trailers: TrailerCheck;
}

export class IncomingHeaders {
  readonly #sink: HeadersSink;
  readonly #scratch: HeaderScratch;
  readonly #decoder = new HpackDecoder(HEADER_TABLE_BYTES);
  readonly #cache = new HeaderCache();
  readonly #assembly = new HeaderAssembly();

  constructor(sink: HeadersSink, scratch: HeaderScratch) {
    this.#sink = sink;
    this.#scratch = scratch;
  }

  /** The stream whose block is not complete, or 0: nothing but its CONTINUATION may come now (4.3). */
  get openStreamId(): number {
    return this.#assembly.streamId;
  }
  get openedAtMs(): number {
    return this.#assembly.openedAtMs;
  }

  onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number, nowMs: number): void {
    if ((streamId & 1) === 0) throw protocolFault('HEADERS on a stream id that a client may not use');
    let from = start;
    let to = end;
    if ((flags & FLAG.PADDED) !== 0) {
      if (from === to) throw sizeFault('padded HEADERS');
      to -= bytes[from++]!;
    }
    let dependency = -1;
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (to - from < 5) throw sizeFault('HEADERS with priority');
      dependency = bytes.readUInt32BE(from) & MAX_STREAM_ID;
      from += 5;
    }
    if (to < from) throw protocolFault('padding longer than its frame');
    if ((flags & FLAG.END_HEADERS) !== 0) {
      this.#onBlock(streamId, flags, dependency, bytes, from, to);
    } else {
      this.#assembly.open(streamId, flags, dependency, nowMs);
      this.#assembly.add(bytes, from, to);
    }
  }

  onContinuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const assembly = this.#assembly;
    if (assembly.streamId === 0 || streamId !== assembly.streamId)
      throw protocolFault('CONTINUATION of nothing');
    assembly.add(bytes, start, end);
    if ((flags & FLAG.END_HEADERS) === 0) return;
    const block = assembly.close();
    this.#onBlock(streamId, assembly.flags, assembly.dependency, block, 0, block.length);
  }

  #onBlock(
    streamId: number,
    flags: number,
    dependency: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const isLast = (flags & FLAG.END_STREAM) !== 0;
    if (streamId > this.#sink.lastStreamId) {
      const head = this.#head(bytes, start, end);
      this.#sink.onRequestHead(streamId, isLast, dependency === streamId, head);
      return;
    }
    const { trailers } = this.#scratch;
    trailers.begin();
    this.#decoder.decode(bytes, start, end, trailers);
    this.#sink.onTrailers(streamId, isLast, trailers.isMalformed);
  }

  #head(bytes: Buffer, start: number, end: number): RequestHead {
    const { table } = this.#decoder;
    const known = this.#cache.find(table.version, bytes, start, end);
    if (known !== undefined) return known;
    const { version } = table;
    const builder = this.#scratch.head;
    builder.begin();
    this.#decoder.decode(bytes, start, end, builder);
    const head = builder.finish();
    if (table.version === version) this.#cache.remember(version, bytes, start, end, head);
    return head;
  }
}
