/**
 * Adds up the chunks of one disk, and holds what a manifest says of them to itself. Sizes are an attacker's: sums are checked before they
 * are believed, and one digest has one size.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { ChunkCoding, ChunkedDisk, DiskChunk } from "./disk-image.ts";
import { parseCount } from "./parse-count.ts";

/** Of all disks of an image; more than 4 MiB of manifest can name. 512 MiB each would be 8 TiB. */
export const MOST_CHUNKS = 16_384;

/** How many bytes one can at most make, and a few that headers of nothing may have. */
const MOST_EXPANSION: Readonly<Record<ChunkCoding, number>> = {
  "apple-lz4": 256,
  "lz4-frames": 256,
  gzip: 1100,
  stored: 1,
};

/** What a chunk's layer must say of it. */
export interface ChunkKeys {
  readonly size: string;
  readonly digest: string;
}

export interface ChunkFacts {
  readonly coding: ChunkCoding;
  readonly size: number;
  readonly digest?: Digest | undefined;
}

/** Checks of one manifest; give it all chunks of all its disks. */
export class ChunkChecks {
  readonly #manifest: Manifest;
  /** What is known of each digest: its blob's size and what the blob makes, or its size. */
  readonly #known = new Map<string, string>();
  #chunks = 0;

  constructor(manifest: Manifest) {
    this.#manifest = manifest;
  }

  /** @throws VarveError `MANIFEST_INVALID` */
  chunk(blob: Descriptor, offset: number, { coding, size, digest }: ChunkFacts): DiskChunk {
    this.#chunks++;
    if (this.#chunks > MOST_CHUNKS) throw this.invalid(`has more than ${MOST_CHUNKS} chunks of disks`);
    if (size > blob.size * MOST_EXPANSION[coding]) {
      throw this.invalid(`says that the ${blob.size} bytes of ${blob.digest} hold ${size} bytes of a disk`);
    }
    if (!Number.isSafeInteger(offset + size)) throw this.invalid("has disks that are larger than any");
    this.#same(blob.digest, `a blob of ${blob.size} bytes that makes ${size}, ${digest}, by ${coding}`);
    if (digest !== undefined) this.#same(`content ${digest}`, `${size} bytes`);
    return { blob, coding, offset, size, ...(digest !== undefined && { digest }) };
  }

  /** The decimal number of an annotation. @throws VarveError `MANIFEST_INVALID` when there is none, or it is no count */
  count(blob: Descriptor, key: string): number {
    const text = annotation(blob, key);
    const count = parseCount(text);
    if (count === undefined) throw this.invalid(`says of ${blob.digest} that ${key} is ${shown(text)}`);
    return count;
  }

  /** The digest of an annotation. @throws VarveError `MANIFEST_INVALID` when there is none, or it is not one of sha256 */
  digest(blob: Descriptor, key: string): Digest {
    const text = annotation(blob, key);
    if (isDigest(text) && text.startsWith("sha256:")) return text;
    throw this.invalid(`says of ${blob.digest} that ${key} is ${shown(text)}`);
  }

  invalid(what: string): VarveError {
    return new VarveError("MANIFEST_INVALID", `manifest ${this.#manifest.digest} ${what}`);
  }

  #same(key: string, fact: string): void {
    const known = this.#known.get(key);
    if (known === undefined) this.#known.set(key, fact);
    else if (known !== fact) throw this.invalid(`contradicts itself: ${key} is ${known}, and ${fact}`);
  }
}

/** Chunks that follow each other, from byte 0 on. */
export function chunkedDisk(
  checks: ChunkChecks,
  name: string,
  parts: readonly { readonly blob: Descriptor; readonly facts: ChunkFacts }[],
  digest?: Digest,
): ChunkedDisk {
  let size = 0;
  const chunks = parts.map(({ blob, facts }) => {
    const chunk = checks.chunk(blob, size, facts);
    size += chunk.size;
    return chunk;
  });
  return { kind: "chunks", name, chunks, size, ...(digest !== undefined && { digest }) };
}

export function annotation(
  { annotations = {} }: { annotations?: Readonly<Record<string, string>> },
  key: string,
): string | undefined {
  return Object.hasOwn(annotations, key) ? annotations[key] : undefined;
}

function shown(text: string | undefined): string {
  return text === undefined ? "nothing" : JSON.stringify(text.slice(0, 80));
}
