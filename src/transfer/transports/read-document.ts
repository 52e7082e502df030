/** Manifests and indexes out of sources that have them as blobs. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import { collect } from "./verified.ts";

/** @throws VarveError `MANIFEST_TOO_LARGE` and all that reading the blob and parsing it throw */
export async function readDocument(
  descriptor: Descriptor,
  read: (descriptor: Descriptor) => AsyncIterable<Uint8Array>,
): Promise<Manifest | Index> {
  const { digest, size, mediaType } = descriptor;
  if (size > MAX_DOCUMENT_BYTES) throw new VarveError("MANIFEST_TOO_LARGE", `manifest ${digest} has ${size} bytes`);
  const bytes = await collect(read(descriptor), size, `manifest ${digest}`);
  return parseManifest(bytes, { contentType: mediaType, expected: { digest, size } });
}
