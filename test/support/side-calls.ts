/** Health.Watch and ServerReflectionInfo as a test wants them: the next message, and how the call ended. */
import type { StatusObject } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { service as healthService } from 'grpc-health-check';
import type { TestClient } from './grpc-client.ts';

class Inbox<T> {
  readonly #arrived: T[] = [];
  readonly #awaited: ((message: T) => void)[] = [];

  push(message: T): void {
    const awaited = this.#awaited.shift();
    if (awaited === undefined) this.#arrived.push(message);
    else awaited(message);
  }
  next(): Promise<T> {
    const arrived = this.#arrived.shift();
    return arrived !== undefined
      ? Promise.resolve(arrived)
      : new Promise((resolve) => this.#awaited.push(resolve));
  }
}

export function watchHealth(client: TestClient, service: string) {
  const { path, requestSerialize, responseDeserialize } = healthService.Watch as MethodDefinition<
    object,
    object
  >;
  const call = client.bare.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service });
  const inbox = new Inbox<string>();
  call.on('data', (message: { status: string }) => inbox.push(message.status));
  return { next: () => inbox.next(), ended: endOf(call), cancel: () => call.cancel() };
}

export interface ReflectionAnswer {
  readonly messageResponse: string;
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number; readonly errorMessage: string };
}

export type ReflectionVersion = 'v1' | 'v1alpha';

export function openReflection(client: TestClient, version: ReflectionVersion = 'v1') {
  const method = reflectionMethod(version);
  const call = client.bare.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
  );
  const inbox = new Inbox<ReflectionAnswer>();
  call.on('data', (message: ReflectionAnswer) => inbox.push(message));
  return {
    call,
    ask: (question: object): Promise<ReflectionAnswer> => {
      call.write(question);
      return inbox.next();
    },
    ended: endOf(call),
  };
}

function reflectionMethod(version: ReflectionVersion): MethodDefinition<object, object> {
  const root = new URL('../../node_modules/@grpc/reflection/build/proto', import.meta.url).pathname;
  const definition = loadSync(`grpc/reflection/${version}/reflection.proto`, {
    includeDirs: [root],
    oneofs: true,
  });
  const service = definition[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition;
  return service.ServerReflectionInfo as MethodDefinition<object, object>;
}

function endOf(call: {
  on(event: 'status', listener: (status: StatusObject) => void): unknown;
  on(event: 'error', listener: () => void): unknown;
}): Promise<StatusObject> {
  call.on('error', () => {});
  return new Promise((resolve) => call.on('status', resolve));
}
