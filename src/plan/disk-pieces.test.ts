/** Pieces of a content are chosen where they are worth it, and make exactly the content. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { carryOut } from "../../test/kit/recipe/carry-out.ts";
import { IndexedEncoder } from "../codec/disk-index/indexed-encoder.ts";
import type { DiskChunk } from "../codec/tart/disk-image.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import type { Segment } from "../recipe/segment.ts";
import { planDiskPieces } from "./disk-pieces.ts";

interface Sample {
  readonly content: Buffer;
  readonly blob: Buffer;
  readonly chunk: DiskChunk & { readonly digest: Digest };
  readonly pieces: IndexedEncoder["pieces"];
}

function sample(): Sample {
  const content = Buffer.concat([randomBytes(2 << 20), Buffer.alloc(1 << 20), randomBytes(1 << 20)]);
  const encoder = new IndexedEncoder({ offset: 0 });
  const parts: Buffer[] = [];
  for (const part of encoder.write(content)) parts.push(Buffer.from(part));
  for (const part of encoder.end()) parts.push(Buffer.from(part));
  const blob = Buffer.concat(parts);
  const described = { mediaType: "disk", digest: digestOf(blob), size: blob.length };
  const chunk = { blob: described, coding: "apple-lz4", offset: 0, size: content.length, digest: digestOf(content) };
  return { content, blob, chunk: { ...chunk, coding: "apple-lz4" }, pieces: encoder.pieces };
}

describe("planDiskPieces", () => {
  it("takes what is here from here, zeros from nowhere, and the rest from the blob", async () => {
    const { content, blob, chunk, pieces } = sample();
    const files = new Map([["/disk", Buffer.concat([Buffer.alloc(7), content])]]);
    const held = {
      get: (piece: number) => (piece % 9 === 4 ? undefined : { path: "/disk", start: 7 + pieces.start(piece) }),
    };
    const plan = planDiskPieces(chunk, pieces, held);
    if ("refused" in plan) return expect.unreachable();
    const made = await carryOut(plan.recipe, blob, files);
    expect(made.equals(content)).toBe(true);
    const lacking = [...Array(pieces.length).keys()].filter((piece) => piece % 9 === 4 && !pieces.isZeros(piece));
    const wanted = lacking.reduce((sum, piece) => sum + pieces.end(piece) - pieces.offset(piece), 0);
    expect(plan.cost.zero).toBe(1 << 20);
    expect(plan.cost.network).toBeGreaterThanOrEqual(wanted);
    expect(plan.cost.network).toBeLessThanOrEqual(wanted * 1.05);
  });

  it("takes what lies here as it does there in long stretches, which can be shared", async () => {
    const { content, blob, chunk, pieces } = sample();
    const missing = pieces.length - 2;
    // As on a disk where all after some byte has moved by a block.
    const files = new Map([["/disk", Buffer.concat([content.subarray(0, 1 << 18), Buffer.alloc(4096), content])]]);
    const held = {
      get(piece: number) {
        const start = pieces.start(piece);
        if (piece === missing) return undefined;
        return { path: "/disk", start: start + pieces.size(piece) <= 1 << 18 ? start : start + (1 << 18) + 4096 };
      },
    };
    const plan = planDiskPieces(chunk, pieces, held);
    if ("refused" in plan) return expect.unreachable();
    expect((await carryOut(plan.recipe, blob, files)).equals(content)).toBe(true);
    const local = [...(plan.recipe.segments as Iterable<Segment>)].filter((segment) => segment.kind === "local");
    expect(local.filter(({ length }) => length >= 1 << 20)).toHaveLength(1);
    for (const { length, digest } of local) expect(digest === undefined).toBe(length >= 1 << 20);
  });

  it("leaves it where the whole blob is as good, and reads over gaps where asking takes long", () => {
    const { chunk, pieces } = sample();
    expect(planDiskPieces(chunk, pieces, { get: () => undefined })).toHaveProperty("refused");
    // Two places, of which every other piece is missing.
    const isMissing = (piece: number): boolean => piece % 2 === 0 && piece % 30 < 10;
    const held = { get: (piece: number) => (isMissing(piece) ? undefined : { path: "/disk", start: 0 }) };
    const near = planDiskPieces(chunk, pieces, held, { request: 0.0001 });
    const far = planDiskPieces(chunk, pieces, held, { request: 0.02 });
    if ("refused" in near || "refused" in far) return expect.unreachable();
    expect(far.cost.requests).toBeLessThan(near.cost.requests);
    expect(far.cost.network).toBeLessThan(chunk.blob.size);
    expect(planDiskPieces(chunk, pieces, held, { request: 5 })).toHaveProperty("refused");
  });
});
