/** Zeros are told by their digest alone, and looking for them costs little whatever a manifest says. */
import { describe, expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import type { DiskChunk } from "./disk-image.ts";
import { knownZeroDigest, zeroContents } from "./zero-digests.ts";

const chunk = (
  size: number,
  digest = digestOf(new Uint8Array(size)),
  blobBytes = Math.ceil(size / 250),
): DiskChunk => ({
  blob: { mediaType: "application/octet-stream", digest: digestOf(`blob ${size}`), size: blobBytes },
  coding: "apple-lz4",
  offset: 0,
  size,
  digest,
});

describe("zeroContents", () => {
  it("finds chunks of zeros of any size, in one pass", async () => {
    const sizes = [5_000_001, 12, 70_000, 4 << 20, 9_000_000];
    const other = chunk(70_001, digestOf("something else"));
    const found = await zeroContents([...sizes.map((size) => chunk(size)), other, chunk(12)]);
    expect(found).toEqual(new Set(sizes.map((size) => digestOf(new Uint8Array(size)))));
    expect(knownZeroDigest(9_000_000)).toBe(digestOf(new Uint8Array(9_000_000)));
  });

  it("knows those that Tart writes without computing anything", async () => {
    for (const size of [536_870_912, 500_000_000]) {
      expect(await zeroContents([chunk(size, knownZeroDigest(size))])).toEqual(new Set([knownZeroDigest(size)]));
      expect(await zeroContents([chunk(size, digestOf("other"))])).toEqual(new Set());
    }
  });

  it("computes nothing for chunks that cannot be zeros, or are larger than it is worth", async () => {
    await zeroContents([chunk(3_000_017, digestOf("a"), 2_000_000), chunk(2 ** 40, digestOf("b")), chunk(0)]);
    expect(knownZeroDigest(3_000_017)).toBeUndefined();
    expect(knownZeroDigest(2 ** 40)).toBeUndefined();
  });

  it("stops when it is told to", async () => {
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(zeroContents([chunk(1_000_003, digestOf("a"))], { signal })).rejects.toThrow("stopped");
  });
});
