/**
 * Numbers as tar headers spell them: octal digits, GNU's base-256, and the decimals of PAX records. All of them are
 * doubles here, exact up to 2^53; callers refuse sizes and ids beyond that.
 */
import type { TarTime } from "./entry.ts";

const NUL = 0x00;
const SPACE = 0x20;

/**
 * A numeric header field: base-256 when its first bit is set, else octal. NaN when it is neither, or passes 63 bits.
 */
export function parseNumber(bytes: Uint8Array, at: number, length: number): number {
  return ((bytes[at] ?? 0) & 0x80) === 0 ? parseOctal(bytes, at, length) : parseBase256(bytes, at, length);
}

/** Octal digits between spaces and NULs; a blank field is 0, anything else is NaN. */
export function parseOctal(bytes: Uint8Array, at: number, length: number): number {
  let end = at + length;
  while (at < end && (bytes[at] === NUL || bytes[at] === SPACE)) at++;
  while (end > at && (bytes[end - 1] === NUL || bytes[end - 1] === SPACE)) end--;
  let value = 0;
  for (; at < end; at++) {
    const byte = bytes[at] ?? NUL;
    // What follows a NUL inside the field is no part of the number.
    if (byte === NUL) break;
    if (byte < 0x30 || byte > 0x37) return Number.NaN;
    value = value * 8 + (byte - 0x30);
  }
  return value;
}

/** Two's complement, big-endian, whose topmost bit is only the mark of the encoding. */
function parseBase256(bytes: Uint8Array, at: number, length: number): number {
  const first = bytes[at] ?? 0;
  const inverse = (first & 0x40) === 0 ? 0x00 : 0xff;
  let value = (first ^ inverse) & 0x7f;
  for (let i = at + 1; i < at + length; i++) value = value * 256 + ((bytes[i] ?? 0) ^ inverse);
  if (value >= 2 ** 63) return Number.NaN;
  return inverse === 0 ? value : -1 - value;
}

/** A decimal integer of 64 bits with an optional sign, as in PAX records and sparse maps; NaN when it is none. */
export function parseDecimal(text: string): number {
  if (!/^[+-]?[0-9]+$/.test(text)) return Number.NaN;
  const value = Number(text);
  return Math.abs(value) < 2 ** 63 ? value : Number.NaN;
}

/** A PAX time, `[-]seconds[.fraction]`, cut to nanoseconds; undefined when it is malformed. */
export function parseTime(text: string): TarTime | undefined {
  const dot = text.indexOf(".");
  const whole = dot < 0 ? text : text.slice(0, dot);
  const fraction = dot < 0 ? "" : text.slice(dot + 1);
  const seconds = parseDecimal(whole);
  if (Number.isNaN(seconds) || !/^[0-9]*$/.test(fraction)) return undefined;
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (nanoseconds === 0 || !whole.startsWith("-")) return { seconds: seconds + 0, nanoseconds };
  return { seconds: seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

/** The inverse of `parseTime`, without needless digits. */
export function formatTime({ seconds, nanoseconds }: TarTime): string {
  if (nanoseconds === 0) return String(seconds);
  const below = seconds < 0;
  const whole = below ? -(seconds + 1) : seconds;
  const rest = below ? 1_000_000_000 - nanoseconds : nanoseconds;
  return `${below ? "-" : ""}${whole}.${String(rest).padStart(9, "0")}`.replace(/0+$/, "");
}

/** Writes octal digits and a NUL; false (and nothing written) when the value does not fit. */
export function writeOctal(block: Buffer, field: readonly [number, number], value: number): boolean {
  const digits = field[1] - 1;
  if (value < 0 || value >= 8 ** digits) return false;
  block.write(value.toString(8).padStart(digits, "0"), field[0], "latin1");
  return true;
}

/** Writes octal where it fits, else base-256; false when even that is too narrow. */
export function writeNumber(block: Buffer, field: readonly [number, number], value: number): boolean {
  if (writeOctal(block, field, value)) return true;
  const bits = (field[1] - 1) * 8;
  if (bits < 64 && (value < -(2 ** bits) || value >= 2 ** bits)) return false;
  let rest = BigInt(value);
  for (let i = field[0] + field[1] - 1; i >= field[0]; i--) {
    block[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  block[field[0]] = (block[field[0]] ?? 0) | 0x80;
  return true;
}
