/** Whether a layer may have a table of contents: all that a pull of other layers loads of this. */
import type { Descriptor } from "../../oci/descriptor.ts";

/** Keys of annotations in the three dialects: podman's zstd:chunked, nerdctl's, eStargz. What they say is read when it is needed. */
const KEYS = [
  "io.github.containers.zstd-chunked.manifest-checksum",
  "io.containers.zstd-chunked.manifest-checksum",
  "containerd.io/snapshot/stargz/toc.digest",
];

export function mayBeChunked({ annotations = {} }: Descriptor): boolean {
  return KEYS.some((key) => Object.hasOwn(annotations, key));
}
