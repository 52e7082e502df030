/** What an ingest refuses or ends with, in words. */
import { VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";

interface Blob {
  readonly digest: Digest;
  readonly size: number;
}

/** Undefined when the bytes that came are the blob's. */
export function mismatch({ digest, size }: Blob, computed: Blob): VarveError | undefined {
  if (computed.size !== size) {
    return new VarveError("SIZE_MISMATCH", `blob ${digest}: ${computed.size} bytes came, expected ${size}`);
  }
  if (computed.digest === digest) return undefined;
  return new VarveError("DIGEST_MISMATCH", `blob ${digest}: the bytes that came have the digest ${computed.digest}`);
}

/** Undefined when the blob has room for `[position, position + length)`. */
export function outOfBounds({ digest, size }: Blob, position: number, length: number): VarveError | undefined {
  const whole = Number.isSafeInteger(position) && Number.isSafeInteger(length) && position >= 0 && length >= 0;
  if (whole && position + length <= size) return undefined;
  return new VarveError("INGEST_LIMIT", `blob ${digest} has ${size} bytes, but bytes ${position}+${length} came`);
}

export function closed(digest: Digest): VarveError {
  return new VarveError("INTERRUPTED", `the transfer of ${digest} was ended before it was complete`);
}
