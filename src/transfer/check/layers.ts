/** Checks layers that are held as tars with an index (`layers/`): each against its DiffID, its index and facts against what they say. */
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isVarveError } from "../../errors/varve-error.ts";
import { FILES } from "../../layer/index-facts.ts";
import { readLayer, type StoredLayer } from "../../layer/read-layer.ts";
import { unpackErofs } from "../../layer/unpack-erofs.ts";
import { digestAlgorithm, Digester, type Digest, type DigestAlgorithm } from "../../oci/digest.ts";
import { ProgressMeter } from "../../recipe/progress-meter.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { Check } from "./check.ts";

const CHUNK_BYTES = 1 << 20;

/** @returns what is wrong with the layer, in words; undefined when it is whole */
export async function layerFault({ store, context, counts }: Check, diffId: Digest): Promise<string | undefined> {
  const folder = new StoreLayout(store.root).layer(diffId);
  let layer: StoredLayer;
  try {
    layer = readLayer(folder);
  } catch (error) {
    if (isVarveError(error, "INDEX_INVALID") || isVarveError(error, "IO")) return error.message;
    throw error;
  }
  if (layer.facts.diffId !== diffId) return `${folder} holds the layer ${layer.facts.diffId}`;
  const meter = new ProgressMeter({ digest: diffId, total: layer.facts.size, emit: context.onProgress });
  const hashed = await digestOfTar(layer.tar, digestAlgorithm(diffId), context.signal, meter).finally(() =>
    meter.finish(),
  );
  counts.bytes += layer.facts.size;
  if (hashed === undefined) return `${layer.tar} is missing`;
  if (hashed !== diffId) return `the bytes of ${layer.tar} are ${hashed}`;
  return layer.facts.extraSize === 0 ? undefined : extraFault(layer, folder, context.signal);
}

async function digestOfTar(
  path: string,
  algorithm: DigestAlgorithm,
  signal: AbortSignal,
  meter: ProgressMeter,
): Promise<Digest | undefined> {
  try {
    const { digest } = await digestOfFile(path, algorithm, signal, (bytes) => {
      meter.count("local", bytes);
      meter.advance(bytes);
    });
    return digest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** What cannot be read from the tar is made of it again, and must be the same: so little is rare and has no digest of its own. */
async function extraFault(layer: StoredLayer, folder: string, signal: AbortSignal): Promise<string | undefined> {
  const again = await mkdtemp(join(tmpdir(), "varve-check-"));
  try {
    const { diffId, index } = layer.facts;
    await unpackErofs(readFile(layer.tar, signal), again, { algorithm: digestAlgorithm(diffId), signal });
    const made = readLayer(again);
    if (made.facts.index.digest !== index.digest) return `the index of ${folder} is not that of its tar`;
    const [found, right] = await Promise.all(
      [folder, again].map((path) => digestOfFile(join(path, FILES.extra), "sha256", signal)),
    );
    return found?.digest === right?.digest ? undefined : `${join(folder, FILES.extra)} is damaged`;
  } finally {
    await rm(again, { recursive: true, force: true });
  }
}

export async function digestOfFile(
  path: string,
  algorithm: DigestAlgorithm,
  signal: AbortSignal,
  onBytes?: (bytes: number) => void,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  const digester = new Digester(algorithm);
  for await (const chunk of readFile(path, signal)) {
    digester.update(chunk);
    onBytes?.(chunk.length);
  }
  return { digest: digester.digest(), size: digester.size };
}

function readFile(path: string, signal: AbortSignal): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: CHUNK_BYTES, signal }) as AsyncIterable<Buffer>;
}
