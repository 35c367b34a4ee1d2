/**
 * Writes a tar stream (ustar) of plain files. Our own, because the system's tar calls a file changed, and
 * exits with 1, when a hard link to it is removed while it is read; here the content is what cannot change.
 */

const BLOCK_BYTES = 512;
/** What eleven octal digits can say; beyond, the size is binary, as GNU tar, bsdtar and Python read it. */
const MAX_OCTAL_BYTES = 0o77777777777;

export interface TarEntry {
  /** Relative, with forward slashes, ASCII, at most 100 bytes. A folder ends with a slash. */
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

export function tarHeader({ path, bytes, modifiedAtMs }: TarEntry): Buffer {
  if (Buffer.byteLength(path) > 100) throw new RangeError(`too long for a tar header: ${path}`);
  const isFolder = path.endsWith('/');
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(path, 0);
  header.write(isFolder ? '0000755\0' : '0000644\0', 100);
  header.write('0000000\0', 108); // owner and group: whoever unpacks it
  header.write('0000000\0', 116);
  writeSize(header, bytes);
  header.write(octal(Math.max(0, Math.floor(modifiedAtMs / 1000)), 11), 136);
  header.write(isFolder ? '5' : '0', 156);
  header.write('ustar\x0000', 257);
  header.write('        ', 148); // the checksum counts as spaces while it is summed
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** Zeroes that fill the last block of a file. */
export function tarPadding(bytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** Two empty blocks, filled up to the record of 20 that tape programs read at once. */
export function tarEnd(writtenBytes: number): Buffer {
  const record = 20 * BLOCK_BYTES;
  const end = writtenBytes + 2 * BLOCK_BYTES;
  return Buffer.alloc(Math.ceil(end / record) * record - writtenBytes);
}

function writeSize(header: Buffer, bytes: number): void {
  if (bytes <= MAX_OCTAL_BYTES) {
    header.write(octal(bytes, 11), 124);
  } else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(bytes), 128);
  }
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}
