/** A tar-diff of two layers' tars into a file (formats "tar-diff" §1). */
import type { Base } from "../../codec/librsync/base.ts";
import { generateTarDiff } from "../../codec/tar-diff/generate/generate.ts";
import type { TarDiffCounts } from "../../codec/tar-diff/op-writer.ts";
import { Digester } from "../../oci/digest.ts";
import { FileOutput } from "./file-output.ts";
import { readThrough } from "./read-through.ts";
import type { CompareOptions, WrittenTarDiff } from "./threads.ts";

/** For comparing files. What compresses beside it, and the names of the files of both, take as much again. */
const COMPARED_BYTES = 144 << 20;

/** @throws VarveError `LAYER_INVALID`, `LAYER_LIMIT` for what is no tar; as the tars; `NO_SPACE`, `IO`; the signal's reason */
export async function writeTarDiff(
  from: Base,
  target: Base,
  output: number,
  { signal, onProgress }: CompareOptions,
): Promise<WrittenTarDiff> {
  const file = new FileOutput(output);
  const blob = new Digester();
  let counts: Readonly<TarDiffCounts> | undefined;
  const onCounts = (given: Readonly<TarDiffCounts>): void => void (counts = given);
  const options = { memory: COMPARED_BYTES, signal, onProgress, onCounts };
  for await (const piece of generateTarDiff(from, target, options)) {
    blob.update(piece);
    file.write(piece);
  }
  const { operations, copied: copiedBytes, added: addedBytes, data: literalBytes } = counts!;
  const diffId = await digestOfAll(target, signal);
  return { size: file.size, digest: blob.digest(), operations, copiedBytes, addedBytes, literalBytes, diffId };
}

/** Files are looked at in the order in which they are alike; so the tar is read once more for this. */
async function digestOfAll(tar: Base, signal: AbortSignal): Promise<WrittenTarDiff["diffId"]> {
  const digester = new Digester();
  for await (const piece of readThrough(tar, { signal })) digester.update(piece);
  return digester.digest();
}
