/**
 * What casync would fetch for an update: of the tars of layers that the old image has not, the chunks that none of the old image's
 * layers has, as they lie in its store, and the indexes. Each chunk and each index is one request.
 */
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { runOk } from "../../../test/kit/peers/run.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { layersOf, openLayer } from "./registry-image.ts";

/** @param older @param newer with gzip layers @param dir for its stores, which are removed */
export async function casyncUpdate(
  older: string,
  newer: string,
  dir: string,
): Promise<{ readonly bytes: number; readonly requests: number }> {
  const work = join(dir, "casync");
  await mkdir(work);
  const held = await layersOf(older);
  const here = new Set(held.map(({ digest }) => digest));
  await addLayers(work, older, held);
  const before = await chunksIn(work);
  const wanted = (await layersOf(newer)).filter(({ digest }) => !here.has(digest));
  const indexes = await addLayers(work, newer, wanted);
  const sum = { bytes: indexes, requests: wanted.length };
  for (const [name, size] of await chunksIn(work)) {
    if (before.has(name)) continue;
    sum.bytes += size;
    sum.requests++;
  }
  await rm(work, { recursive: true });
  return sum;
}

/** @returns bytes of their indexes */
async function addLayers(work: string, image: string, layers: readonly Descriptor[]): Promise<number> {
  const [tar, index] = [join(work, "layer.tar"), join(work, "layer.caibx")];
  let bytes = 0;
  for (const layer of layers) {
    await pipeline(await openLayer(image, layer), createGunzip(), createWriteStream(tar));
    await runOk("casync", ["make", `--store=${join(work, "chunks")}`, index, tar], { timeoutMs: 3_600_000 });
    bytes += (await stat(index)).size;
  }
  return bytes;
}

async function chunksIn(work: string): Promise<ReadonlyMap<string, number>> {
  const chunks = new Map<string, number>();
  for (const entry of await readdir(join(work, "chunks"), { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) chunks.set(entry.name, (await stat(join(entry.parentPath, entry.name))).size);
  }
  return chunks;
}
