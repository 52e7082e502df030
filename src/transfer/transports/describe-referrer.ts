/** What a list of referrers says of one of them (distribution-spec "Pushing Manifests with Subject", image-spec "descriptor.md"). */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";

/** With all annotations, and the artifact's type: an image manifest's is, where it says none, that of its config. */
export function describeReferrer(document: Manifest | Index): Descriptor {
  const { mediaType, digest, bytes, annotations } = document;
  const artifactType = document.artifactType ?? (document.kind === "manifest" ? document.config.mediaType : undefined);
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(annotations !== undefined && { annotations }),
    ...(artifactType !== undefined && { artifactType }),
  };
}
