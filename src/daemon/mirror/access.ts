/**
 * What of a blob a repository may have of what is here or on its way. All of it, where the repository was seen to have it (`isProved`); nothing,
 * where its registry only says so and nobody believes it: then the bytes have to come from there.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { BlobSource } from "../../registry/blob-source.ts";
import type { Store } from "../../store/store.ts";
import type { Flights } from "./flights.ts";
import { keptForms, keptTar } from "./kept-tar.ts";
import type { KnownBlobs } from "./known-blobs.ts";
import { believes } from "./provenance.ts";
import type { Upstream } from "./upstreams.ts";

export interface Access {
  readonly blob: Descriptor;
  readonly isProved: boolean;
  /** Whether somebody else's bytes are where this repository's would go to. */
  readonly isApart: boolean;
  /** What can make it here. */
  readonly own: BlobSource | undefined;
}

export interface AccessParts {
  readonly store: Store;
  readonly known: KnownBlobs;
  readonly flights: Flights;
  /** Its size, when the registry says that the repository has it. */
  readonly ask: (upstream: Upstream, digest: Digest) => Promise<number | undefined>;
}

/** @returns undefined when the repository has none @throws what the registry says */
export async function accessTo(upstream: Upstream, digest: Digest, parts: AccessParts): Promise<Access | undefined> {
  const { store, known, flights, ask } = parts;
  const { key } = upstream;
  const recorded = (await store.repositories.blob(key, digest)) ?? (await store.repositories.manifest(key, digest));
  const listed = known.get(key, digest);
  const described = (size: number): Descriptor => ({ mediaType: "application/octet-stream", ...listed, digest, size });
  if (recorded !== undefined) return { blob: described(recorded.size), isProved: true, isApart: false, own: undefined };
  const forms = listed === undefined ? [] : await keptForms(store, listed);
  const found = await placeOf(digest, parts);
  const hasBegun = flights.hasBegun(digest, upstream);
  // In this order: a fetch of its own may have begun meanwhile.
  const place = hasBegun || flights.isFrom(digest, upstream) ? "free" : found;
  const isElsewhere = place !== "free" || (forms.length > 0 && !hasBegun);
  const isBelieved = flights.isOfHost(digest, upstream) || (await believes(store, upstream, digest, ...forms));
  const mustAsk = listed === undefined || (isElsewhere && isBelieved);
  const size = mustAsk ? await ask(upstream, digest) : listed.size;
  if (size === undefined) return undefined;
  const isProved = hasBegun || (mustAsk && isBelieved);
  const own = isProved && forms.length > 0 ? keptTar(store) : undefined;
  return { blob: described(size), isProved, isApart: place === "taken" && !isProved, own };
}

/** Whether the blob is here or on its way (`taken`), or a part of it is (`begun`). */
async function placeOf(digest: Digest, { store, flights }: AccessParts): Promise<"taken" | "begun" | "free"> {
  const { content, locks } = store;
  if (flights.get(digest) !== undefined || (await content.stat(digest)) !== undefined) return "taken";
  return locks.isHeld(digest) || (await content.partial(digest)).length > 0 ? "begun" : "free";
}
