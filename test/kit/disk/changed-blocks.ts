/** What a new version of a disk cannot do without: its blocks of 64 KiB that differ from the old version's, each compressed by itself. */
import { open } from "node:fs/promises";
import { AppleLz4Encoder } from "../../../src/codec/apple-lz4/encoder.ts";
import { isZero } from "../../../src/codec/zero-runs.ts";

const BLOCK = 64 << 10;
const STEP = 16 * BLOCK;

export interface ChangedBlocks {
  readonly count: number;
  /** Of their content. */
  readonly bytes: number;
  /** As LZ4, in the coding of Tart. */
  readonly compressedBytes: number;
}

/** Blocks of zeros do not count, whatever they were. */
export async function changedBlocks(oldPath: string, newPath: string): Promise<ChangedBlocks> {
  await using before = await open(oldPath);
  await using after = await open(newPath);
  const encoder = new AppleLz4Encoder();
  const [was, is] = [Buffer.alloc(STEP), Buffer.alloc(STEP)];
  let [count, bytes, compressedBytes] = [0, 0, 0];
  for (let at = 0; ; at += STEP) {
    const { bytesRead } = await after.read(is, 0, STEP, at);
    if (bytesRead === 0) break;
    const { bytesRead: known } = await before.read(was, 0, STEP, at);
    for (let start = 0; start < bytesRead; start += BLOCK) {
      const block = is.subarray(start, Math.min(bytesRead, start + BLOCK));
      const isSame = start + block.length <= known && block.equals(was.subarray(start, start + block.length));
      if (isSame || isZero(block, 0, block.length)) continue;
      count += 1;
      bytes += block.length;
      for (const piece of encoder.write(block)) compressedBytes += piece.length;
      for (const piece of encoder.cut()) compressedBytes += piece.length;
    }
  }
  return { count, bytes, compressedBytes };
}
