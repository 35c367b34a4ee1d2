/** In place of src/grpc/listeners.ts, of which the main thread asks only for a port. */
import type { findPort as original } from '../../../src/grpc/listeners.ts';

export const findPort: typeof original = async (address) => ({ port: address.port, canShare: true });
