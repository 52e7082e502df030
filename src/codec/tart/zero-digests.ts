/**
 * Which chunks are nothing but zeros: their digest tells, so they need never be fetched. Most are of the two sizes that Tart has written; the
 * others' digests are computed, all in one pass over as many zeros as the largest has, and only for chunks whose blobs are so small that it may be.
 */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { parseDigest, type Digest } from "../../oci/digest.ts";
import type { DiskChunk } from "./disk-image.ts";

/** What Tart has written since July 2024, and from May 2024 until then. */
const KNOWN: readonly (readonly [size: number, digest: string])[] = [
  [536_870_912, "sha256:9acca8e8c22201155389f65abbf6bc9723edc7384ead80503839f49dcc56d767"],
  [500_000_000, "sha256:38f7c0648553d81ad9402ebdd1b275a0029644c5b7eef7c963dfa7db9ef0ba23"],
];

/** Zeros compress to less than this share of their size in every coding that is. */
const LARGEST_SHARE = 1 / 64;
/** The most that zeros are computed for: 1 GiB, half a second once. Larger chunks are fetched like others. */
const MOST_BYTES = 1 << 30;
/** Hashed between two breaths, so that nothing else waits long. */
const STEP_BYTES = 4 << 20;

const digests = new Map(KNOWN.map(([size, digest]) => [size, parseDigest(digest)]));
/** A manifest must not make the process remember as many sizes as it has chunks. */
const MOST_REMEMBERED = 1024;

/** The digest of so many zeros, as far as it was computed or is known. */
export function knownZeroDigest(size: number): Digest | undefined {
  return digests.get(size);
}

/**
 * The digests of content, among the chunks', that are those of zeros.
 * @throws the signal's reason
 */
export async function zeroContents(
  chunks: Iterable<DiskChunk>,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Set<Digest>> {
  const found = new Set<Digest>();
  const doubtful = new Map<number, Set<Digest>>();
  for (const { size, digest, blob, coding } of chunks) {
    if (digest === undefined || size === 0) continue;
    const known = digests.get(size);
    if (known === digest) found.add(digest);
    else if (known === undefined && size <= MOST_BYTES && (coding === "stored" || mayBeZeros(blob.size, size))) {
      doubtful.getOrInsertComputed(size, () => new Set()).add(digest);
    }
  }
  for await (const [size, zeros] of zeroDigests([...doubtful.keys()], options.signal)) {
    if (digests.size < MOST_REMEMBERED) digests.set(size, zeros);
    if (doubtful.get(size)?.has(zeros) === true) found.add(zeros);
  }
  return found;
}

function mayBeZeros(blobBytes: number, size: number): boolean {
  return blobBytes <= Math.max(1024, size * LARGEST_SHARE);
}

async function* zeroDigests(
  sizes: readonly number[],
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [number, Digest], void, undefined> {
  const hash = createHash("sha256");
  const zeros = new Uint8Array(Math.min(STEP_BYTES, Math.max(0, ...sizes)));
  let done = 0;
  for (const size of sizes.toSorted((a, b) => a - b)) {
    while (done < size) {
      const step = Math.min(zeros.length, size - done);
      hash.update(step === zeros.length ? zeros : zeros.subarray(0, step));
      done += step;
      if (step === zeros.length) await setImmediate();
      signal?.throwIfAborted();
    }
    yield [size, parseDigest(`sha256:${hash.copy().digest("hex")}`)];
  }
}
