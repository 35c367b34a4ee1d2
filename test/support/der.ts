/** As much of ASN.1 DER (X.690) as a certificate needs. Each value is given as its whole encoding. */

const tlv = (tag: number, content: Uint8Array): Buffer => {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const digits = Buffer.from(length.toString(16).padStart(length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length]), digits, content]);
};

export const sequence = (...parts: Uint8Array[]): Buffer => tlv(0x30, Buffer.concat(parts));
export const set = (...parts: Uint8Array[]): Buffer => tlv(0x31, Buffer.concat(parts));
/** Up to 127. */
export const integer = (value: number): Buffer => tlv(0x02, Buffer.from([value]));
export const boolean = (value: boolean): Buffer => tlv(0x01, Buffer.from([value ? 0xff : 0]));
export const octets = (content: Uint8Array): Buffer => tlv(0x04, content);
/** Whole bytes, unless the last bits are said to be unused. */
export const bits = (content: Uint8Array, unusedBits = 0): Buffer =>
  tlv(0x03, Buffer.concat([Buffer.from([unusedBits]), content]));
export const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text));
/** `[n]` around what it holds. */
export const tagged = (n: number, content: Uint8Array): Buffer => tlv(0xa0 | n, content);
/** `[n]` in place of the tag that the content would have. */
export const implicit = (n: number, content: Uint8Array): Buffer => tlv(0x80 | n, content);
/** RFC 5280 4.1.2.5.2: with four digits of the year, and seconds. */
export const time = (ms: number): Buffer =>
  tlv(0x18, Buffer.from(new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '')));

/** `2.5.4.3` */
export function objectId(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes = [40 * first! + second!];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let more = arc >>> 7; more > 0; more >>>= 7) groups.unshift((more & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tlv(0x06, Buffer.from(bytes));
}
