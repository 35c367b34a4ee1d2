/**
 * Server reflection (v1 and v1alpha) by the official package, fed with compiled descriptors.
 *
 * The package takes what proto-loader makes, and would serve descriptors without imports and without the
 * names of map entries, which Go clients refuse. It only reads `fileDescriptorProtos`, so it is given the
 * files of a descriptor set that a real compiler wrote.
 */
import { ReflectionService } from '@grpc/reflection';
import { invariant } from '../base/assert.ts';
import { DESCRIPTOR_SET_BASE64 } from './descriptor-set.generated.ts';

type Definition = ConstructorParameters<typeof ReflectionService>[0];
type Mount = Parameters<ReflectionService['addToServer']>[0];

export function mountReflection(server: Mount): void {
  const fileDescriptorProtos = filesOf(Buffer.from(DESCRIPTOR_SET_BASE64, 'base64'));
  const definition = { descriptors: { format: '', type: {}, fileDescriptorProtos } };
  new ReflectionService(definition as unknown as Definition).addToServer(server);
}

/** FileDescriptorSet { repeated FileDescriptorProto file = 1 }: each file's bytes, as the compiler wrote them. */
export function filesOf(bytes: Buffer): Buffer[] {
  const files: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    invariant(bytes[at] === 0x0a, 'the descriptor set holds something else than files');
    at++;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    invariant(at + length <= bytes.length, 'the descriptor set is cut off');
    files.push(bytes.subarray(at, at + length));
    at += length;
  }
  return files;
}
