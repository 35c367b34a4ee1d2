/**
 * In place of node:zlib for the archiver and the readers: the same streams and the same bytes, made in the
 * turn they are asked for. The real ones work in the thread pool, whose threads the seed does not command.
 */
import { Transform } from 'node:stream';
import * as zlib from 'node:zlib';

export * from 'node:zlib';

function atOnce(convert: (input: Buffer) => Buffer): Transform {
  const chunks: Buffer[] = [];
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
    flush(done) {
      try {
        done(null, convert(Buffer.concat(chunks)));
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

// Small levels: what is tested is what becomes of the bytes.
export const createGzip = (): Transform => atOnce((input) => zlib.gzipSync(input, { level: 1 }));
export const createZstdCompress = (): Transform =>
  atOnce((input) =>
    zlib.zstdCompressSync(input, {
      params: { [zlib.constants.ZSTD_c_compressionLevel]: 1, [zlib.constants.ZSTD_c_checksumFlag]: 1 },
    }),
  );
export const createGunzip = (): Transform => atOnce((input) => zlib.gunzipSync(input));
export const createZstdDecompress = (): Transform => atOnce((input) => zlib.zstdDecompressSync(input));
