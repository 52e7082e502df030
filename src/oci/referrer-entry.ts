/** What a list of referrers says of one of them (distribution-spec "Pushing Manifests with Subject", image-spec "descriptor.md"). */
import type { Descriptor } from "./descriptor.ts";
import type { Index, Manifest } from "./manifest.ts";

/** The entry by which a manifest is listed among the referrers of its subject. */
export function referrerEntry(document: Manifest | Index): Descriptor {
  const { mediaType, digest, bytes, annotations } = document;
  // Of an index nothing stands in for the type that it does not name.
  const artifactType = document.artifactType ?? (document.kind === "manifest" ? document.config.mediaType : undefined);
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations !== undefined && { annotations }),
  };
}
