/** A blob that cannot be put into the store, because the disk is full, say: sent on as it comes, and held to its digest all the same. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestAlgorithm, Digester } from "../../oci/digest.ts";
import type { BlobRequest } from "../../registry/blob-source.ts";
import type { ByteRange } from "../../store/types.ts";
import type { Origins } from "./origins.ts";

export interface DirectOptions extends Pick<BlobRequest, "signal" | "onEvent"> {
  /** Called when all of the blob has come and is right, before the last of it is given. */
  readonly onVerified?: () => Promise<unknown>;
}

/** @throws VarveError `DIGEST_MISMATCH` before the last bytes of a blob that is read as a whole; what the registry fails with */
export async function* readDirectly(
  blob: Descriptor,
  origins: Origins,
  { start, end }: ByteRange,
  { onVerified, ...request }: DirectOptions,
): AsyncGenerator<Uint8Array> {
  const isWhole = start === 0 && end === blob.size;
  const digester = isWhole ? new Digester(digestAlgorithm(blob.digest)) : undefined;
  let last: Uint8Array | undefined;
  for await (const chunk of origins.readBlob(blob, isWhole ? request : { ...request, range: { start, end } })) {
    digester?.update(chunk);
    if (last !== undefined) yield last;
    last = chunk;
  }
  const computed = digester?.digest() ?? blob.digest;
  if (computed !== blob.digest) {
    origins.distrust(blob);
    throw new VarveError("DIGEST_MISMATCH", `the bytes of ${blob.digest} came out as ${computed}`);
  }
  if (isWhole) await onVerified?.();
  if (last !== undefined) yield last;
}
