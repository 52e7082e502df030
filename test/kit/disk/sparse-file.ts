/** Files with holes for tests: made by what they hold, and what one can see of them. */
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync, statSync, writeSync } from "node:fs";
import { dataExtents, type Extent } from "../../../src/sys/sparse.ts";
import { noise } from "../recipe/random-recipe.ts";

export const KIB = 1 << 10;
export const MIB = 1 << 20;

/** `[offset, length]` of what is written; with `"zeros"` the bytes are zeros, and still no hole. */
export type Written = readonly [offset: number, length: number, content?: "zeros"];

const NOISE = noise(MIB, "disk");

/** A file of this size with these pieces written, and holes between them. */
export function makeSparse(path: string, size: number, written: readonly Written[] = []): void {
  const fd = openSync(path, "w");
  try {
    ftruncateSync(fd, size);
    for (const [offset, length, content] of written) {
      for (let done = 0; done < length;) {
        const step = Math.min(NOISE.length, length - done);
        writeSync(fd, content === "zeros" ? Buffer.alloc(step) : NOISE, 0, step, offset + done);
        done += step;
      }
    }
  } finally {
    closeSync(fd);
  }
}

export function allocated(path: string): number {
  return statSync(path).blocks * 512;
}

/** Its runs of data, as the file system tells them. */
export function mapOf(path: string): Extent[] {
  const fd = openSync(path, "r");
  try {
    return [...dataExtents(fd, fstatSync(fd).size)];
  } finally {
    closeSync(fd);
  }
}

/** Whether two files have the same bytes; what is a hole in both is not read. */
export function haveSameBytes(one: string, other: string): boolean {
  if (statSync(one).size !== statSync(other).size) return false;
  if (statSync(one).size <= 64 * MIB) return readFileSync(one).equals(readFileSync(other));
  const bytes = (path: string, { offset, length }: Extent): Buffer => readRange(path, offset, length);
  return [...mapOf(one), ...mapOf(other)].every((extent) => bytes(one, extent).equals(bytes(other, extent)));
}

function readRange(path: string, offset: number, length: number): Buffer {
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(length);
    for (let done = 0; done < length;) {
      const got = readSync(fd, buffer, done, length - done, offset + done);
      if (got === 0) throw new Error(`${path} ends before ${offset + length}`);
      done += got;
    }
    return buffer;
  } finally {
    closeSync(fd);
  }
}
