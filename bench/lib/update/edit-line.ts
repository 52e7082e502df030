/** One more line in one text file of a tar, as an editor would have it: the file has another size and time then, and all else stays. */
import { open, type FileHandle } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { TAR_END } from "../../../src/codec/tar/header.ts";

const BLOCK = 512;
/** Of the file that is edited: large enough that it is not the change. */
const LEAST = 64 << 10;
const MOST = 1 << 20;
const LINE = Buffer.from("# one line more\n");

interface Member {
  readonly name: string;
  /** Of its header. */
  readonly start: number;
  readonly size: number;
}

export interface EditedTar {
  /** The file's name. */
  readonly name: string;
  /** Its size before, in bytes. */
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** @throws Error when the tar has no text file of a fair size */
export async function editLine(path: string): Promise<EditedTar> {
  await using file = await open(path);
  const member = await findText(file);
  const { name, size } = member;
  return { name, size, bytes: edited(path, member, await read(file, member.start, BLOCK + size)) };
}

async function findText(file: FileHandle): Promise<Member> {
  for (let start = 0; ;) {
    const header = await read(file, start, BLOCK);
    if (header.length < BLOCK || header.equals(TAR_END.subarray(0, BLOCK))) break;
    const name = header.toString("latin1", 0, 100).replace(/\0.*/s, "");
    const type = header[156];
    const size = Number.parseInt(header.toString("latin1", 124, 136), 8) || 0;
    const isFile = type === 0x30 || type === 0;
    if (isFile && size >= LEAST && size <= MOST) {
      const content = await read(file, start + BLOCK, size);
      if (!content.includes(0) && content.indexOf("\n", size >> 1) > 0) return { name, start, size };
    }
    start += BLOCK + padded(size);
  }
  throw new Error("the layer has no text file of 64 KiB to 1 MiB");
}

async function* edited(path: string, { start, size }: Member, member: Buffer): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { end: start - 1 }) as AsyncIterable<Uint8Array>;
  const content = member.subarray(BLOCK);
  const cut = content.indexOf("\n", size >> 1) + 1;
  const whole = Buffer.concat([content.subarray(0, cut), LINE, content.subarray(cut)]);
  yield headerFor(member.subarray(0, BLOCK), whole.length);
  yield whole;
  yield Buffer.alloc(padded(whole.length) - whole.length);
  yield* createReadStream(path, { start: start + BLOCK + padded(size) }) as AsyncIterable<Uint8Array>;
}

function headerFor(before: Uint8Array, size: number): Buffer {
  const header = Buffer.from(before);
  const time = Number.parseInt(header.toString("latin1", 136, 148), 8) || 0;
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  header.write(`${(time + 3600).toString(8).padStart(11, "0")}\0`, 136, "latin1");
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

async function read(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, start);
  return buffer.subarray(0, bytesRead);
}
