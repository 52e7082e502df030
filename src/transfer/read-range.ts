/** Some bytes of a blob, whole in memory; the caller bounds them. */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { BlobSource } from "../registry/blob-source.ts";

/** @throws RANGE_UNSUPPORTED, BLOB_UNKNOWN, REGISTRY_*, the signal's reason */
export async function readRange(
  { blobs, signal }: { readonly blobs: BlobSource; readonly signal: AbortSignal },
  blob: Descriptor,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(end - start);
  let length = 0;
  for await (const chunk of blobs.readBlob(blob, { range: { start, end }, signal })) {
    if (length + chunk.length > bytes.length) break;
    bytes.set(chunk, length);
    length += chunk.length;
  }
  if (length === bytes.length) return bytes;
  throw new VarveError("SIZE_MISMATCH", `blob ${blob.digest}: bytes ${start} to ${end} came as ${length}`);
}
