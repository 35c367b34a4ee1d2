/** In place of src/grpc/create-server.ts: a server on the simulated network. */
import type { createGrpcServer as original } from '../../../src/grpc/create-server.ts';
import { SimulatedServer } from '../server.ts';

export const createGrpcServer: typeof original = (_transport, _limits, deps) => new SimulatedServer(deps);
