/** A layer that `unpackErofs` has left in a directory. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readErofs } from "../codec/erofs/reader.ts";
import type { IndexTree } from "../codec/erofs/tree.ts";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { digestAlgorithm, digestOf } from "../oci/digest.ts";
import { releaseBuffer } from "../sys/release-buffer.ts";
import { deviceTag, FILES, readFacts, type IndexFacts } from "./index-facts.ts";
import type { IndexedLayer } from "./index-replay.ts";

const MAX_FACTS_BYTES = 2 ** 28;
const MAX_INDEX_BYTES = 2 ** 31;

export interface StoredLayer extends IndexedLayer {
  readonly facts: IndexFacts;
  /** Paths of the files that hold its content, in the order of the tree's devices: its tar, and the extra file if there is one. */
  readonly devices: readonly string[];
}

/**
 * Reads a layer's facts and its index, which is held to its digest; of the tar only the size is looked at.
 * @throws INDEX_INVALID when anything is missing or not as it was written; PERMISSION, IO
 */
export function readLayer(directory: string): StoredLayer {
  const facts = readLayerFacts(directory);
  const tar = join(directory, FILES.tar);
  const devices = facts.extraSize === 0 ? [tar] : [tar, join(directory, FILES.extra)];
  for (const [number, path] of devices.entries()) checkSize(path, number === 0 ? facts.size : facts.extraSize);
  const tree = readIndex(join(directory, FILES.index), facts.index);
  if (tree.devices.length !== devices.length) throw damaged(join(directory, FILES.index), "has other devices");
  return { facts, tree, open: facts.open, tar, tag: deviceTag(facts.diffId), devices };
}

/** The facts alone. @throws INDEX_INVALID, PERMISSION, IO */
export function readLayerFacts(directory: string): IndexFacts {
  const path = join(directory, FILES.facts);
  return readFacts(Buffer.from(readWhole(path, MAX_FACTS_BYTES)).toString("utf8"), path);
}

function readIndex(path: string, { size, digest }: IndexFacts["index"]): IndexTree {
  const bytes = readWhole(path, MAX_INDEX_BYTES);
  if (bytes.byteLength !== size) throw damaged(path, `has ${bytes.byteLength} bytes instead of ${size}`);
  if (digestOf(bytes, digestAlgorithm(digest)) !== digest) throw damaged(path, `is not ${digest}`);
  const tree = readErofs(bytes);
  releaseBuffer(bytes);
  return tree;
}

function checkSize(path: string, size: number): void {
  const found = look(path, () => statSync(path).size);
  if (found !== size) throw damaged(path, `has ${found} bytes instead of ${size}`);
}

function readWhole(path: string, most: number): Uint8Array {
  return look(path, () => {
    const { size } = statSync(path);
    if (size > most) throw damaged(path, `has ${size} bytes`);
    return readFileSync(path);
  });
}

function look<T>(path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const fault = toVarveError(error, `cannot read ${path}`);
    throw fault.code === "FILE_NOT_FOUND" ? damaged(path, "is missing") : fault;
  }
}

function damaged(path: string, how: string): VarveError {
  return new VarveError("INDEX_INVALID", `${path} ${how}`);
}
