/** Bytes that are the same in every process that asks for the same seed, and that do not compress. */
import { createCipheriv } from "node:crypto";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";

export interface Sample {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly size: number;
}

export function sample(size: number, seed = 1): Sample {
  const key = Buffer.alloc(16, seed % 251);
  key.writeUInt32LE(seed);
  const bytes = createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
  return { bytes, digest: digestOf(bytes), size };
}
