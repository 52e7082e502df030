/**
 * Deltas of plain tars in the format tar-diff, by what images' layers are made with: `node tar-diff-main.ts create BASE TARGET DELTA` and
 * `node tar-diff-main.ts apply BASE DELTA TARGET`.
 */
import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { fileBase, type Base } from "../../../src/codec/librsync/base.ts";
import { generateTarDiff } from "../../../src/codec/tar-diff/generate/generate.ts";
import { TarMembers } from "../../../src/codec/tar-diff/tar-members.ts";
import { tarDiffSegments } from "../../../src/plan/tar-diff.ts";
import type { Segment } from "../../../src/recipe/segment.ts";

export const TAR_DIFF = import.meta.filename;

const PIECE = 1 << 20;

async function main([action, base = "", ...files]: readonly string[]): Promise<void> {
  const [second = "", third = ""] = files;
  await using old = await open(base);
  const from = fileBase(old, (await old.stat()).size, base);
  await using into = await open(third, "w");
  if (action === "create") {
    await using fresh = await open(second);
    // As who applies it to the tar itself, which has every file of the layer.
    const options = { anyMode: true };
    for await (const piece of generateTarDiff(from, fileBase(fresh, (await fresh.stat()).size, second), options)) {
      await into.writeFile(piece);
    }
  } else if (action === "apply") {
    await using tar = {
      ...from,
      parts: (start: number, length: number) => [{ kind: "file" as const, path: base, start, length }],
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const members = await TarMembers.of(tar);
    const delta = () => createReadStream(second, { highWaterMark: PIECE });
    for await (const segment of tarDiffSegments({ base: tar, members, delta })) await carryOut(segment, from, into);
  } else {
    throw new Error(`there is no action ${action}`);
  }
}

async function carryOut(segment: Segment, base: Base, into: FileHandle): Promise<void> {
  if (segment.kind === "data") {
    await into.writeFile(segment.bytes);
  } else if (segment.kind === "local") {
    const buffer = Buffer.allocUnsafe(Math.min(PIECE, segment.length));
    for (let at = 0; at < segment.length; at += PIECE) {
      const some = buffer.subarray(0, Math.min(PIECE, segment.length - at));
      await base.read(some, segment.start + at);
      await into.writeFile(some);
    }
  } else {
    throw new Error(`a segment of kind ${segment.kind}`);
  }
}

if (process.argv[1] === TAR_DIFF) await main(process.argv.slice(2));
