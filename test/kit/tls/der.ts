/** DER, ITU-T X.690: as much of it as an X.509 certificate needs. */
const encode = (tag: number, ...contents: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
};

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes = Buffer.from(length.toString(16).padStart(length > 0xffff ? 6 : length > 0xff ? 4 : 2, "0"), "hex");
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

export const sequence = (...items: readonly Uint8Array[]): Buffer => encode(0x30, ...items);
export const set = (...items: readonly Uint8Array[]): Buffer => encode(0x31, ...items);
/** Non-negative, big-endian. */
export const integer = (bytes: Uint8Array): Buffer =>
  encode(0x02, (bytes[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
export const boolean = (value: boolean): Buffer => encode(0x01, Buffer.from([value ? 0xff : 0]));
export const bitString = (bytes: Uint8Array): Buffer => encode(0x03, Buffer.from([0]), bytes);
export const octetString = (bytes: Uint8Array): Buffer => encode(0x04, bytes);
export const nothing = (): Buffer => encode(0x05);
export const utf8String = (text: string): Buffer => encode(0x0c, Buffer.from(text));
/** Years 2050 and later need GeneralizedTime, so that form is used throughout; parsers take both. */
export const time = (at: Date): Buffer =>
  at.getUTCFullYear() < 2050
    ? encode(0x17, Buffer.from(`${stamp(at).slice(2)}Z`))
    : encode(0x18, Buffer.from(`${stamp(at)}Z`));
/** `[n]`, constructed. */
export const explicit = (n: number, ...items: readonly Uint8Array[]): Buffer => encode(0xa0 | n, ...items);
/** `[n] IMPLICIT`, primitive. */
export const implicit = (n: number, bytes: Uint8Array): Buffer => encode(0x80 | n, bytes);

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return encode(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f));
  return digits;
}

function stamp(at: Date): string {
  return at.toISOString().replace(/[-:T]|\..*/g, "");
}
