/** One blob that an image needs: whether it is there, whole and as large as the image says. When mending it is fetched again. */
import { toVarveError } from "../../errors/from-system.ts";
import type { Digest } from "../../oci/digest.ts";
import { checkBlobs } from "./blobs.ts";
import type { BlobState, Check } from "./check.ts";
import { fetchBroken, type BrokenPart } from "./mend.ts";

/** @returns whether the part is there and whole, perhaps after mending */
export async function checkPart(check: Check, image: string, part: BrokenPart): Promise<boolean> {
  const { digest, size } = part.descriptor;
  const { findings, store } = check;
  const state = await stateOf(check, digest);
  const actual = (await store.content.stat(digest).catch(() => undefined))?.size;
  if (state === "whole" && actual === size) return true;
  if (state === "whole" && actual !== undefined) {
    findings.add("document-invalid", `${image}: ${digest} has ${actual} bytes, and its descriptor says ${size}`, {
      digest,
      image,
    });
    findings.failedDigest(digest, "the image is broken");
    return false;
  }
  if (state === "missing")
    findings.add("blob-missing", `${image}: ${part.kind} ${digest} is missing`, { digest, image });
  else
    findings.add(actual === 0 ? "blob-truncated" : "blob-damaged", `${image}: ${part.kind} ${digest} is damaged`, {
      digest,
      image,
    });
  if (!check.repair) return false;
  try {
    await fetchBroken(check, image, part);
    check.states.set(digest, "whole");
    findings.repairedDigest(digest);
    return true;
  } catch (error) {
    if (check.context.signal.aborted) throw error;
    // By now a damaged one is taken away.
    if ((await store.content.stat(digest).catch(() => undefined)) === undefined) check.states.set(digest, "missing");
    findings.failedDigest(digest, toVarveError(error).message);
    return false;
  }
}

export async function stateOf(check: Check, digest: Digest): Promise<BlobState> {
  const known = check.states.get(digest);
  if (known !== undefined) return known;
  // It came after the others were looked at.
  await checkBlobs(check, [digest]);
  return check.states.get(digest) ?? "missing";
}
