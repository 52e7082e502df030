/**
 * Apple LZ4 and the LZ4 frame format (frame format description 1.6) hold the same raw blocks, linked in both, under other headers. So
 * liblz4's `lz4` program decodes what our encoder makes, and makes golden bytes for our decoder, when the headers are exchanged.
 */
import { execFileSync } from "node:child_process";
import { findPeer } from "../../kit/peers.ts";

/** Linked blocks of at most 64 KiB, without checksums and sizes. */
const FRAME_HEADER = Buffer.from("04224d184040c0", "hex");
const STORED_BIT = 0x80000000;
const OUTPUT_LIMIT = 1 << 28;

interface Block {
  readonly kind: "bv41" | "bv4-";
  readonly decoded: number;
  readonly body: Buffer;
}

/** The blocks of one stream, whose headers are believed. */
export function blocksOf(apple: Uint8Array): Block[] {
  const bytes = Buffer.from(apple.buffer, apple.byteOffset, apple.length);
  const blocks: Block[] = [];
  for (let at = 0; ;) {
    const magic = bytes.toString("latin1", at, at + 4);
    if (magic === "bv4$") return blocks;
    if (magic !== "bv41" && magic !== "bv4-") throw new Error(`no block at ${at}`);
    const start = at + (magic === "bv41" ? 12 : 8);
    const decoded = bytes.readUInt32LE(at + 4);
    at = start + (magic === "bv41" ? bytes.readUInt32LE(at + 8) : decoded);
    blocks.push({ kind: magic, decoded, body: bytes.subarray(start, at) });
  }
}

/** The stream's blocks in a frame. */
export function lz4Frame(apple: Uint8Array): Buffer {
  const blocks = blocksOf(apple).flatMap(({ kind, body }) => [
    word(body.length + (kind === "bv4-" ? STORED_BIT : 0)),
    body,
  ]);
  return Buffer.concat([FRAME_HEADER, ...blocks, word(0)]);
}

/** What `lz4 -d` makes of the stream's blocks. */
export function decodeWithLz4(apple: Uint8Array): Buffer {
  return runLz4(["-d", "-c"], lz4Frame(apple));
}

/**
 * What `lz4` makes of the bytes, under Apple's headers.
 * @param blockBytes decoded bytes of all blocks but the last
 */
export function encodeWithLz4(bytes: Uint8Array, blockBytes: number, level: number): Buffer {
  const frame = runLz4([`-${level}`, "-BD", `-B${blockBytes}`, "--no-frame-crc", "-c"], bytes);
  const parts: Buffer[] = [];
  let left = bytes.length;
  for (let at = FRAME_HEADER.length; frame.readUInt32LE(at) !== 0;) {
    const header = frame.readUInt32LE(at);
    const size = header % STORED_BIT;
    const decoded = word(Math.min(left, blockBytes));
    left -= Math.min(left, blockBytes);
    const isStored = header >= STORED_BIT;
    parts.push(Buffer.from(isStored ? "bv4-" : "bv41"), decoded, ...(isStored ? [] : [word(size)]));
    parts.push(frame.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return Buffer.concat([...parts, Buffer.from("bv4$")]);
}

/** What the `lz4` program makes of the input. */
export function runLz4(args: readonly string[], input: Uint8Array): Buffer {
  const stdio: ["pipe", "pipe", "ignore"] = ["pipe", "pipe", "ignore"];
  return execFileSync(findPeer("lz4") ?? "lz4", args, { input, stdio, maxBuffer: OUTPUT_LIMIT });
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
