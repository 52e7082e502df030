/** What the product writes as zstd:chunked, it plans as such. */
import { describe, expect, it } from "vitest";
import { allKinds } from "../../test/kit/images/chunked-members.ts";
import { headerOf } from "../../test/kit/images/tar-members.ts";
import { carryOut } from "../../test/kit/recipe/carry-out.ts";
import { holding } from "../../test/kit/recipe/held-pieces.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { TAR_END, tarPadding } from "../codec/tar/header.ts";
import { ZstdChunkedWriter } from "../codec/zstd-chunked/writer.ts";
import { digestOf } from "../oci/digest.ts";
import { fetchToc } from "./fetch-toc.ts";
import { readTocAnnotations } from "./toc-annotations.ts";

describe("a layer that was written as zstd:chunked", () => {
  it("is planned, and its plan makes the tar it was written from", async () => {
    const members = allKinds();
    const content = members.flatMap((member) => [
      headerOf(member),
      member.content ?? Buffer.alloc(0),
      tarPadding(member.content?.length ?? 0),
    ]);
    const tar = Buffer.concat([...content, TAR_END, Buffer.alloc(9000)]);
    const parts: Buffer[] = [];
    using writer = new ZstdChunkedWriter((bytes) => parts.push(Buffer.from(bytes)), { level: 3 });
    await writer.write(tar);
    const { annotations = {} } = await writer.end();
    const bytes = Buffer.concat(parts);
    const blobs = new MemoryBlobs();
    const blob = { ...blobs.add(bytes), annotations };
    const found = readTocAnnotations(blob);
    expect(found).toMatchObject({ dialect: "podman" });
    const toc = await fetchToc({ blob, diffId: digestOf(tar) }, found!, {
      blobs,
      signal: new AbortController().signal,
    });
    expect(blobs.requests).toHaveLength(1);
    const held = holding(
      toc.pieces,
      members.flatMap(({ content: each = Buffer.alloc(0) }) => (each.length === 300_000 ? [] : [each])),
    );
    const plan = await toc.plan(held);
    if ("refused" in plan) throw new Error(plan.refused);
    expect(plan.recipe.target).toEqual({ digest: digestOf(tar), size: tar.length });
    expect((await carryOut(plan.recipe, bytes, held.files)).equals(tar)).toBe(true);
    expect(plan.cost.network).toBeGreaterThan(290_000);
    expect(plan.cost.network).toBeLessThan(310_000);
  });
});
