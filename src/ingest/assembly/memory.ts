/**
 * Where everything lies in the module's memory, which never grows. Whoever loads 16 bytes at once may read past the
 * end of a text, and whoever stores 16 may write past it, so both windows have PADDING behind them.
 */

/** Bytes of a request that are looked at in one call. */
export const IN_BYTES: i32 = 16384;
/** Lines made in one call. Six bytes of it for each of a reading must be left: one of more than 10 KB is not of the usual shape. */
export const OUT_BYTES: i32 = 65536;
/** More than the 16 bytes of a load, the 8 of a double, and the 10 of a varint that has no end. */
const PADDING: i32 = 64;

export const IN: usize = memory.data(IN_BYTES + PADDING);
export const OUT: usize = memory.data(OUT_BYTES + PADDING);

/** `Z","received_at":"2026-11-20T10:00:00.130Z"`: how every line goes on behind its created_at. */
export const TIMES_LENGTH: usize = 43;
export const TIMES: usize = memory.data(64);

/** A producer_id as it came; MAX_PRODUCER_ID_BYTES of line-encoder.ts. */
const PRODUCER_IN_BYTES: i32 = 256;
export const PRODUCER_IN: usize = memory.data(PRODUCER_IN_BYTES + PADDING);
/** `,"producer_id":"...","sequence":`, with six bytes for each of the name's at most. */
export const PRODUCER: usize = memory.data(PRODUCER_IN_BYTES * 6 + 2 * PADDING);

/** Of the last call: how far it came in IN, and in OUT. */
export const RESULT: usize = memory.data(8);

/** Writes ASCII where it stays. */
export function keep(at: usize, text: string): void {
  for (let i = 0; i < text.length; i++) store<u8>(at + <usize>i, <u8>text.charCodeAt(i));
}
