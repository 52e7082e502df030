/** Files with holes for tests: made by what they hold, and what one can see of them. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, statSync, writeSync } from "node:fs";
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

/** Whether two files have the same bytes; of large files, what is a hole in both is not read. */
export function haveSameBytes(one: string, other: string): boolean {
  const { size } = statSync(one);
  if (statSync(other).size !== size) return false;
  const ranges = size <= 64 * MIB ? [{ offset: 0, length: size }] : [...mapOf(one), ...mapOf(other)];
  const [left, right] = [openSync(one, "r"), openSync(other, "r")];
  try {
    return ranges.every((range) => haveSameRange(left, right, range));
  } finally {
    closeSync(left);
    closeSync(right);
  }
}

/** For all comparisons, because new ones for each would keep the collector busy. */
const BUFFERS = [Buffer.alloc(MIB), Buffer.alloc(MIB)] as const;

function haveSameRange(one: number, other: number, { offset, length }: Extent): boolean {
  for (let done = 0; done < length; done += MIB) {
    const step = Math.min(MIB, length - done);
    const [left, right] = BUFFERS;
    readRange(one, left, step, offset + done);
    readRange(other, right, step, offset + done);
    if (left.compare(right, 0, step, 0, step) !== 0) return false;
  }
  return true;
}

function readRange(file: number, into: Buffer, length: number, position: number): void {
  for (let done = 0; done < length;) {
    const got = readSync(file, into, done, length - done, position + done);
    if (got === 0) throw new Error(`a file ends before ${position + length}`);
    done += got;
  }
}
