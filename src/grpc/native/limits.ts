/**
 * Every bound of the native transport that is not an option: its name, its value, its reason.
 * (Options: connections, calls per connection, request size, receive budget; see ../config.ts.)
 */
import { KiB, MiB } from '../../base/byte-size.ts';

// --- headers -------------------------------------------------------------------------------------------

/** Decoded header list, counted as RFC 9113 6.5.2 does. What gRPC clients and proxies take for granted. */
export const MAX_HEADER_LIST_BYTES = 8 * KiB;
/** Fields of one list; ordinary calls have about ten. Bounds the work that a small block of references can cause. */
export const MAX_HEADER_FIELDS = 64;
/** Encoded block. Huffman coding can make a value longer, at most 30 bits for 8: four times the list holds it. */
export const MAX_HEADER_BLOCK_BYTES = 32 * KiB;
/** A block of that size needs two frames; floods come in thousands of small ones (CVE-2024-27316). */
export const MAX_CONTINUATION_FRAMES = 8;
/** The default of RFC 7541, so that no client has to wait for a setting. A table costs at most this per connection. */
export const HEADER_TABLE_BYTES = 4 * KiB;
/** Blocks remembered per connection: a sensor client alternates between one or two. */
export const CACHED_HEADER_BLOCKS = 4;
/** A remembered block is a run of references and short literals; a longer one is not worth the memory. */
export const MAX_CACHED_BLOCK_BYTES = 256;

// --- flow control --------------------------------------------------------------------------------------

/**
 * What may come on one stream without our asking: nearly every request fits, so it costs no round trip.
 * Not reserved: what arrives is taken from the receive budget at that moment, or refused.
 */
export { STREAM_WINDOW_BYTES } from '../stream-link.ts';
/** The window of a stream of requests grows no further: 80 MB/s over 50 ms of round trip. */
export const MAX_STREAM_WINDOW_BYTES = 4 * MiB;
/** Below, 256 KiB per round trip are more than one thread takes. */
export const LONG_ROUND_TRIP_MS = 2;
/** At 50 ms of round trip 160 MiB/s. It bounds no memory (the receive budget does), so it may be ample. */
export const CONNECTION_WINDOW_BYTES = 8 * MiB;

// --- time ----------------------------------------------------------------------------------------------

/** Time limits are looked after once a second for all connections together: no timer per connection. */
export const SWEEP_INTERVAL_MS = 1000;
/** So late, the thread or the machine stood still: what came meanwhile is read before anybody is judged by the clock. */
export const LATE_SWEEP_MS = 5 * SWEEP_INTERVAL_MS;
/** A client speaks first; one that has not in this time is none. */
export const PREFACE_TIMEOUT_MS = 10_000;
/** From the first to the last frame of a header block: clients send them back to back (RFC 9113 6.10 forces them to). */
export const HEADER_BLOCK_TIMEOUT_MS = 10_000;
/** SETTINGS need one round trip. */
export const SETTINGS_TIMEOUT_MS = 20_000;
/** A sensor that lost power says no goodbye; its place is free again within 80 seconds. */
export const KEEPALIVE_TIME_MS = 60_000;
export const KEEPALIVE_TIMEOUT_MS = 20_000;
/** No byte of a request under way for so long, and it is given up: what it holds of the budget others need. */
export const REQUEST_STALL_TIMEOUT_MS = 60_000;
/** A client that takes none of its answers for so long is gone or means harm. */
export const SLOW_READER_TIMEOUT_MS = 20_000;
/** After the first GOAWAY, for calls that crossed it (RFC 9113 6.8); the PING that measures it is usually faster. */
export const GOAWAY_GRACE_MS = 1000;
/** For clients that do not read the last answers; the others close within milliseconds. */
export const GOODBYE_MS = 1000;
/** Meanwhile what still comes is thrown away, a read at a time: 6 MiB, which is more than was under way. */
export const DISCARD_INTERVAL_MS = 10;

// --- turns: what keeps one busy client from holding up all others ---------------------------------------

/**
 * Work of one connection, and of one client where several have some (client-turns.ts), before the others have their turn. By
 * time, not by bytes: what costs us is decompression and broken calls, not their size. Some forty honest requests of 100
 * readings, or one of 4 MiB, which is never cut in two. With 2 ms eight connections that keep the thread busy made turns so
 * long that a client with 100 streams was held up by them.
 */
export const TURN_SHARE_MS = 1;
/**
 * The same for all connections together whose bytes make more work than those of requests do, or work for nothing, and for
 * each of which that is not known yet. Shorter: an acknowledgement takes a few turns.
 */
export const DEAR_TURN_SHARE_MS = 0.5;
/** Work in a read of 64 KiB that makes no connection one of those, however fast the machine: twice what small honest requests make on a fast one. */
export const DEAR_LEAST_MS = 2;
/**
 * More does when it is so many times what ordinary requests make of 64 KiB (dear-limit.ts). Honest ones make 0.6 to 1.2 of that,
 * whatever their size; readings of a thousand labels, which are the least of what is to be caught, three to four and a half.
 */
export const DEAR_FACTOR = 3;
/** And what is more than this does on any machine. */
export const DEAR_MOST_MS = 16;
/** They then rest for so many times as long as they worked, if others have work: these have four fifths of the thread. */
export const DEAR_REST_FACTOR = 4;
/** In a read of 64 KiB: with more calls than this that could never succeed a connection is one of those. A gateway may have some. */
export const HOPELESS_CALLS = 16;
/** Of such a connection this much is worked off between two looks at the clock: some twenty broken calls. */
export const DEAR_SLICE_BYTES = KiB;
/** Connections that may keep what they have read (64 KiB each) until it is their turn again: 16 MiB. The others work it off. */
export const MAX_HELD_BACK = 256;
/** Chunks closer to each other than this came in the same turn. */
export const TURN_GAP_MS = 0.05;

/** Memory for what comes in pieces that is kept for the next: requests of 64 KiB on fifty connections at once. */
export const RECEIVE_POOL_BYTES = 4 * MiB;

// --- answers -------------------------------------------------------------------------------------------

/** Unsent answers from which on nothing more is read from the client: it must take what it asked for first. */
export const PAUSE_UNSENT_BYTES = 256 * KiB;
/** Calls already in when reading paused still answer; 100 of the longest statuses fit several times. */
export const MAX_UNSENT_BYTES = 4 * MiB;

// --- floods: cheap to send, dear to serve. A bucket per connection and kind: burst, and refill per second ---

export interface FloodLimit {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Rapid reset (CVE-2023-44487): opened and cancelled before it is answered. A client whose deadlines
 * pass cancels all its calls at once, again and again under overload: a burst of ten times the default of calls.
 */
export const RESET_FLOOD: FloodLimit = { burst: 1000, perSecond: 100 };
/** Streams that we must reset for what is wrong with them: no client needs many. */
export const FAULT_FLOOD: FloodLimit = { burst: 200, perSecond: 20 };
/** Each is answered. grpc-go measures its bandwidth with one PING per round trip while data flows; answers refill. */
export const PING_FLOOD: FloodLimit = { burst: 1000, perSecond: 100 };
/** Each is answered, and may touch every stream. Clients send one or two. */
export const SETTINGS_FLOOD: FloodLimit = { burst: 50, perSecond: 5 };
/** DATA without data and without END_STREAM: legal, useless, and costs no window. */
export const EMPTY_DATA_FLOOD: FloodLimit = { burst: 200, perSecond: 50 };
/** Each side should send one per half a window; our answers are small, so few are due. Answers refill. */
export const WINDOW_UPDATE_FLOOD: FloodLimit = { burst: 2000, perSecond: 500 };
/** Frames without effect: PRIORITY, unknown types, frames on streams that are gone. */
export const IDLE_FRAME_FLOOD: FloodLimit = { burst: 2000, perSecond: 200 };

// --- health and reflection -----------------------------------------------------------------------------

/** Questions are names: a conversation of the fullest reflection client stays far below. */
export const MAX_QUESTION_BYTES = 256 * KiB;
/** Answers not yet taken by the client; each may hold a file's descriptors. */
export const MAX_ANSWERS_WAITING = 64;
