/** Streams of bytes held to what a descriptor says of them, and small ones in one piece. */
import { VarveError } from "../../errors/varve-error.ts";
import type { ErrorCode } from "../../errors/table.ts";
import { Digester, digestAlgorithm, type Digest } from "../../oci/digest.ts";

export interface VerifiedOptions {
  readonly signal?: AbortSignal | undefined;
  /** Code for a wrong digest. Default `DIGEST_MISMATCH`. */
  readonly code?: ErrorCode;
}

/**
 * Passes chunks on and throws instead of ending when they were too many, too few or others than the digest says.
 *
 * @throws VarveError `SIZE_MISMATCH`, `DIGEST_MISMATCH`; the signal's reason when it aborts
 */
export async function* verified(
  bytes: AsyncIterable<Uint8Array>,
  expected: { readonly digest: Digest; readonly size: number },
  options: VerifiedOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const digester = new Digester(digestAlgorithm(expected.digest));
  for await (const chunk of bytes) {
    options.signal?.throwIfAborted();
    if (digester.size + chunk.length > expected.size) {
      throw new VarveError("SIZE_MISMATCH", `${expected.digest} has more than its ${expected.size} bytes`);
    }
    // Hashed before it is passed on, because it then belongs to the consumer.
    digester.update(chunk);
    yield chunk;
  }
  if (digester.size !== expected.size) {
    throw new VarveError("SIZE_MISMATCH", `${expected.digest} has ${digester.size} bytes, not ${expected.size}`);
  }
  const digest = digester.digest();
  if (digest !== expected.digest) {
    throw new VarveError(options.code ?? "DIGEST_MISMATCH", `${expected.digest} came as ${digest}`);
  }
}

/** All of a stream that is known to be small. @throws VarveError `SIZE_MISMATCH` beyond `limit` bytes */
export async function collect(bytes: AsyncIterable<Uint8Array>, limit: number, what: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > limit) throw new VarveError("SIZE_MISMATCH", `${what} has more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** A stream of one chunk. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
