/** Seekable tars in memory, and what is read of any as bytes, for tests. */
import { closeSync, openSync, readSync } from "node:fs";
import type { SeekableTar, TarPart } from "../../../src/layer/seekable/seekable-tar.ts";

export function memoryTar(bytes: Uint8Array): SeekableTar {
  return {
    size: bytes.length,
    read: async (into, position) => into.set(bytes.subarray(position, position + into.length)),
    *parts(start, length) {
      if (length > 0) yield { kind: "data", bytes: bytes.subarray(start, start + length) };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

export async function pieceOf(tar: SeekableTar, start: number, length: number): Promise<Buffer> {
  // A byte that nothing is read into would show.
  const into = Buffer.alloc(length, 0xee);
  await tar.read(into, start);
  return into;
}

/** What the parts are, read from their files. */
export function joined(parts: Iterable<TarPart>): Buffer {
  const pieces: Uint8Array[] = [];
  for (const part of parts) {
    if (part.kind === "data") {
      pieces.push(part.bytes);
      continue;
    }
    const fd = openSync(part.path, "r");
    const bytes = Buffer.alloc(part.length);
    const read = readSync(fd, bytes, 0, part.length, part.start);
    closeSync(fd);
    pieces.push(bytes.subarray(0, read));
  }
  return Buffer.concat(pieces);
}
