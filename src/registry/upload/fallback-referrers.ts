/**
 * Lists a referrer under the subject's tag, at registries that do not keep such lists (distribution-spec "Pushing Manifests with
 * Subject", "Referrers Tag Schema").
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, type Document, type Index, type Manifest } from "../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { referrerEntry } from "../../oci/referrer-entry.ts";
import type { Caller } from "../attempts.ts";
import { fallbackTag } from "../referrers.ts";
import { changeIndex, type ChangeContext } from "./change-index.ts";

/** @returns the tag. @throws VarveError `MANIFEST_INVALID` when something else is under it, `REGISTRY_*` */
export async function listUnderTag(
  context: ChangeContext,
  subject: Digest,
  referrer: Manifest | Index,
  caller: Caller,
): Promise<string> {
  const tag = fallbackTag(subject);
  const what = `referrers of ${subject}`;
  const change = {
    tag,
    what,
    isMade: (index: Index | undefined) => index?.manifests.some(({ digest }) => digest === referrer.digest) ?? false,
    make: (index: Index | undefined, gone: ReadonlySet<string>) =>
      withEntry(index, referrerEntry(referrer), gone, what),
  };
  await changeIndex(context, change, caller);
  return tag;
}

/** What others wrote into the list stays, also what is not known here. */
function withEntry(index: Index | undefined, entry: Descriptor, gone: ReadonlySet<string>, what: string): Document {
  const mediaType = index?.mediaType ?? MEDIA_TYPES.ociIndex;
  const before =
    index === undefined
      ? { schemaVersion: 2, mediaType, manifests: [] }
      : (JSON.parse(Buffer.from(index.bytes).toString("utf8")) as { manifests: { digest?: string }[] });
  const kept = before.manifests.filter(({ digest = "" }) => !gone.has(digest));
  const bytes = Buffer.from(JSON.stringify({ ...before, manifests: [...kept, entry] }));
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    throw new VarveError("MANIFEST_TOO_LARGE", `${what}: their list would have ${bytes.length} bytes`);
  }
  return { bytes, digest: digestOf(bytes), mediaType };
}
