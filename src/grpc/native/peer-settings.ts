/** The client's SETTINGS (RFC 9113 section 6.5), checked; only those that a server needs are kept. */
import { ConnectionFault, DEFAULT_FRAME_BYTES, ERROR_CODE, MAX_WINDOW_BYTES, SETTING } from './protocol.ts';

const SETTING_BYTES = 6;
const LARGEST_FRAME_BYTES = 0xff_ffff;

export interface SettingsSink {
  onInitialWindowSize(bytes: number): void;
  onHeaderTableSize(bytes: number): void;
}

/** In the order they stand, as section 6.5.3 demands. */
export function readSettings(bytes: Buffer, start: number, end: number, sink: SettingsSink): void {
  if ((end - start) % SETTING_BYTES !== 0) {
    throw new ConnectionFault(ERROR_CODE.FRAME_SIZE_ERROR, 'SETTINGS that end within a setting');
  }
  for (let at = start; at < end; at += SETTING_BYTES) {
    const value = bytes.readUInt32BE(at + 2);
    switch (bytes.readUInt16BE(at)) {
      case SETTING.HEADER_TABLE_SIZE:
        sink.onHeaderTableSize(value);
        break;
      case SETTING.ENABLE_PUSH:
        if (value > 1) throw fault('ENABLE_PUSH is neither 0 nor 1');
        break;
      case SETTING.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW_BYTES) {
          throw new ConnectionFault(ERROR_CODE.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE is beyond its bound');
        }
        sink.onInitialWindowSize(value);
        break;
      case SETTING.MAX_FRAME_SIZE:
        // Checked and not used: our frames never exceed what every peer must accept.
        if (value < DEFAULT_FRAME_BYTES || value > LARGEST_FRAME_BYTES)
          throw fault('MAX_FRAME_SIZE is out of bounds');
        break;
      default:
      // MAX_CONCURRENT_STREAMS bounds pushes, which we never make; MAX_HEADER_LIST_SIZE is advice, and our
      // lists are short; unknown settings are to be ignored.
    }
  }
}

function fault(message: string): ConnectionFault {
  return new ConnectionFault(ERROR_CODE.PROTOCOL_ERROR, message);
}
