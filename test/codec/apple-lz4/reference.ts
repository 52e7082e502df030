/** Apple LZ4 decoded as slowly and plainly as its description reads, to hold the fast decoder against. */
import { blocksOf } from "./frames.ts";

/** @returns undefined where the stream's blocks are not what the format allows */
export function decodePlainly(apple: Uint8Array): Buffer | undefined {
  const output: number[] = [];
  for (const { kind, decoded, body } of blocksOf(apple)) {
    const end = output.length + decoded;
    if (kind === "bv4-") for (const byte of body) output.push(byte);
    else if (!decodeBlock(body, output, end)) return undefined;
    if (output.length !== end) return undefined;
  }
  return Buffer.from(output);
}

function decodeBlock(body: Uint8Array, output: number[], end: number): boolean {
  let at = 0;
  const length = (start: number): number => {
    let sum = start;
    if (start === 15) {
      for (let more = 255; more === 255; sum += more) more = body[at++] ?? Number.NaN;
    }
    return sum;
  };
  for (;;) {
    const token = body[at++];
    if (token === undefined) return false;
    const literals = length(token >> 4);
    if (!(at + literals <= body.length && output.length + literals <= end)) return false;
    for (let n = 0; n < literals; n++) output.push(body[at++]!);
    if (at === body.length) return true;
    if (at + 2 > body.length) return false;
    const distance = body[at]! + 256 * body[at + 1]!;
    at += 2;
    const match = 4 + length(token & 15);
    if (distance === 0 || distance > output.length || !(output.length + match <= end)) return false;
    for (let n = 0; n < match; n++) output.push(output[output.length - distance]!);
  }
}
