/** Fetches one broken part of an image again, from where the image's name says it came from. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../../oci/manifest.ts";
import { parseReference, withDigest } from "../../oci/reference.ts";
import { TransferBudget } from "../../recipe/limiter.ts";
import { fetchLayer } from "../fetch-layer.ts";
import { Tally } from "../tally.ts";
import type { Check } from "./check.ts";

export interface BrokenPart {
  readonly kind: "document" | "config" | "layer";
  readonly descriptor: Descriptor;
  /** Of a layer, where the config says it. */
  readonly diffId?: Digest | undefined;
}

/** @throws VarveError what the registry or the store say, `BLOB_UNKNOWN` when the registry has it no more */
export async function fetchBroken(check: Check, image: string, part: BrokenPart): Promise<void> {
  const { store, context, lease, concurrency } = check;
  const { registry, signal } = context;
  const { descriptor } = part;
  const { digest } = descriptor;
  const reference = parseReference(image, { defaultTag: false });
  if (lease === undefined) throw new VarveError("INTERNAL", "mending without a lease");
  await lease.add(digest);
  if (part.kind === "layer") {
    // As long as the wrong bytes lie there, they count as present.
    await store.content.removeDamaged(digest, { signal });
    await fetchLayer(
      context,
      { reference, blob: descriptor, diffId: part.diffId },
      {
        budget: new TransferBudget({ concurrency }),
        priority: 0,
        layersLeft: () => 1,
        check: part.diffId !== undefined,
        wait: true,
        tally: new Tally(),
        signal,
      },
    );
    return;
  }
  const bytes =
    part.kind === "document"
      ? (await registry.fetchManifest(withDigest(reference, digest), { digest, size: descriptor.size, signal })).bytes
      : await registry.fetchBlobBytes(reference, descriptor, { limit: MAX_DOCUMENT_BYTES, signal });
  await store.content.removeDamaged(digest, { signal });
  await store.content.writeBytes(digest, bytes);
}
