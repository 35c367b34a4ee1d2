/** The one place that knows which transports there are. */
import type { GrpcConfig } from './config.ts';
import { GrpcJsServer } from './grpc-js/grpc-js-server.ts';
import { NativeServer } from './native/native-server.ts';
import type { GrpcLimits, GrpcServer, GrpcServerDeps } from './server.ts';

export type Transport = GrpcConfig['transport'];

export function createGrpcServer(transport: Transport, limits: GrpcLimits, deps: GrpcServerDeps): GrpcServer {
  switch (transport) {
    case 'native':
      return new NativeServer(limits, deps);
    default:
      return new GrpcJsServer(limits, deps);
  }
}
