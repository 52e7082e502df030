/** A small blob that came whole, held to what its descriptor says. */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestAlgorithm, digestOf } from "../oci/digest.ts";

/** @param source who gave it, for messages @throws VarveError `SIZE_MISMATCH`, `DIGEST_MISMATCH` */
export function verifiedBytes(bytes: Uint8Array, blob: Descriptor, source: string): Uint8Array {
  const detail = { digest: blob.digest, source };
  if (bytes.length !== blob.size) {
    const message = `blob ${blob.digest}: ${source} gave ${bytes.length} bytes, not ${blob.size}`;
    throw new VarveError("SIZE_MISMATCH", message, { detail });
  }
  const actual = digestOf(bytes, digestAlgorithm(blob.digest));
  if (actual !== blob.digest) {
    throw new VarveError("DIGEST_MISMATCH", `blob ${blob.digest}: ${source} gave ${actual}`, { detail });
  }
  return bytes;
}
