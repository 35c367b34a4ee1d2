/** The numbers of HTTP/2 as RFC 9113 assigns them, and the fault that ends a connection. */

/** Section 6. */
export const FRAME = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

export const FLAG = {
  END_STREAM: 0x1,
  ACK: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** Section 7. */
export const ERROR_CODE = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  ENHANCE_YOUR_CALM: 0xb,
} as const;

export type ErrorCode = (typeof ERROR_CODE)[keyof typeof ERROR_CODE];

/** Section 6.5.2. */
export const SETTING = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** Section 3.4: what every client sends first. */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const FRAME_HEADER_BYTES = 9;
/** Section 6.9.1: no window may grow beyond. */
export const MAX_WINDOW_BYTES = 0x7fff_ffff;
/** Section 6.9.2: what both sides begin with. */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** Section 4.2: what both sides accept without being asked; we never ask for more. */
export const DEFAULT_FRAME_BYTES = 16_384;
/** Stream ids have 31 bits. */
export const MAX_STREAM_ID = 0x7fff_ffff;

/** The connection cannot go on: GOAWAY with `code`, then the end (section 5.4.1). */
export class ConnectionFault extends Error {
  override readonly name = 'ConnectionFault';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function protocolFault(message: string): ConnectionFault {
  return new ConnectionFault(ERROR_CODE.PROTOCOL_ERROR, message);
}

export function sizeFault(frame: string): ConnectionFault {
  return new ConnectionFault(ERROR_CODE.FRAME_SIZE_ERROR, `${frame} of a wrong length`);
}
