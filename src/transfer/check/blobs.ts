/** Reads blobs through and holds them to their digests: several at once, a megabyte of each in memory. */
import { lstat } from "node:fs/promises";
import { isVarveError } from "../../errors/varve-error.ts";
import { Digester, digestAlgorithm, type Digest } from "../../oci/digest.ts";
import { ProgressMeter } from "../../recipe/progress-meter.ts";
import { inParallel } from "../in-parallel.ts";
import type { BlobState, Check } from "./check.ts";

/** Every blob of the store, or those. What goes away meanwhile was somebody's to remove. */
export async function checkBlobs(check: Check, only?: Iterable<Digest>): Promise<void> {
  const digests = only === undefined ? await allDigests(check) : [...only];
  await inParallel(digests, check.concurrency, async (digest) => {
    check.states.set(digest, await examine(check, digest));
  });
}

/** Names alone: their files are looked at one by one, odd ones too. */
async function allDigests({ store }: Check): Promise<Digest[]> {
  return Array.fromAsync(store.content.digests());
}

async function examine(check: Check, digest: Digest): Promise<BlobState> {
  const { store, context, findings, counts } = check;
  try {
    const info = await store.content.stat(digest);
    if (info === undefined) return "missing";
    const meter = new ProgressMeter({ digest, total: info.size, emit: context.onProgress });
    const digester = new Digester(digestAlgorithm(digest));
    for await (const chunk of store.content.read(digest, { signal: context.signal })) {
      digester.update(chunk);
      meter.count("local", chunk.length);
      meter.advance(chunk.length);
    }
    meter.finish();
    counts.blobs++;
    counts.bytes += digester.size;
    if (digester.digest() === digest) {
      context.onProgress({ type: "layer-verified", digest, total: info.size });
      return "whole";
    }
    const kind = info.size === 0 ? "blob-truncated" : "blob-damaged";
    const what = info.size === 0 ? `blob ${digest} is empty` : `the bytes of blob ${digest} are not its digest's`;
    findings.add(kind, what, { digest, path: info.path });
    return "damaged";
  } catch (error) {
    if (isVarveError(error, "BLOB_UNKNOWN")) return "missing";
    if (!isVarveError(error, "STORE_CORRUPT") && !isVarveError(error, "IO")) throw error;
    findings.add("blob-damaged", `blob ${digest} cannot be read: ${error.message}`, { digest });
    return "damaged";
  }
}

/** Takes away the damaged blobs that no image has asked for. */
export async function removeDamaged(check: Check): Promise<void> {
  const { states, store, findings, context } = check;
  for (const [digest, state] of states) {
    if (state !== "damaged") continue;
    const path = await lstat(store.content.pathOf(digest)).catch(() => undefined);
    if (path !== undefined) await store.content.removeDamaged(digest, { signal: context.signal });
    findings.repairedDigest(digest);
  }
}
