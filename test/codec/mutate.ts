/** Breaks archives the way that reaches deep into a tar reader: headers change, but their checksums stay right. */
import { sealBlock } from "../../src/codec/tar/block.ts";

const BLOCK = 512;

/** A small generator with a seed (mulberry32), so that every run sees the same archives. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const INTERESTING = Buffer.from("\0 07/-=\n1234567SxgLKDMV\x80\xff\xbf,+9", "latin1");
/** Where fields that matter begin: sizes, type, magic, prefix, sparse maps, the STAR trailer. */
const FIELDS = [
  0, 100, 108, 116, 124, 125, 134, 135, 136, 156, 157, 257, 262, 263, 265, 329, 345, 357, 386, 398, 482, 483, 508,
];

/** One to three random changes to a copy of the archive. */
export function mutate(archive: Uint8Array, random: (below: number) => number): Buffer {
  let bytes: Buffer = Buffer.from(archive);
  for (let n = 1 + random(3); n > 0; n--) bytes = change(bytes, random);
  return bytes;
}

function change(bytes: Buffer, random: (below: number) => number): Buffer {
  const blocks = Math.max(1, Math.floor(bytes.length / BLOCK));
  const at = random(Math.min(blocks, 60)) * BLOCK;
  const other = random(Math.min(blocks, 60)) * BLOCK;
  switch (random(10)) {
    case 0:
      return bytes.subarray(0, random(bytes.length + 1));
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + BLOCK)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(BLOCK * (1 + random(2))), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(other, other + BLOCK), bytes.subarray(at)]);
    case 4:
      if (bytes.length > 0)
        bytes[random(Math.min(bytes.length, 30_000))] = INTERESTING[random(INTERESTING.length)] ?? 0;
      return bytes;
    default:
      return changeHeader(bytes, random);
  }
}

function changeHeader(bytes: Buffer, random: (below: number) => number): Buffer {
  const headers: number[] = [];
  for (let at = 0; at + BLOCK <= bytes.length && headers.length < 80; at += BLOCK) {
    if (bytes.toString("latin1", at + 257, at + 262) === "ustar") headers.push(at);
  }
  const at = headers[random(Math.max(1, headers.length))];
  if (at === undefined) return bytes;
  const block = bytes.subarray(at, at + BLOCK);
  for (let n = 1 + random(4); n > 0; n--) {
    const field = FIELDS[random(FIELDS.length)] ?? 0;
    block[Math.min(BLOCK - 1, field + random(2) * random(12))] = INTERESTING[random(INTERESTING.length)] ?? 0;
  }
  sealBlock(block);
  return bytes;
}
