import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { piecesOf } from "../../test/kit/layer/apply-all.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { applyLayer } from "./apply-layer.ts";
import { LayerApplier } from "./apply.ts";
import { checkLayer } from "./check-layer.ts";

describe("a layer's digest", () => {
  const tar = packTree([file("a", "1")]);

  it("covers what follows the archive's end, and must be what the config says", async () => {
    await using dir = await tempDir();
    const trailed = Buffer.concat([tar, Buffer.from("garbage after the end")]);
    using applier = new LayerApplier(dir.path);
    const applied = await applyLayer(piecesOf(trailed, 100), applier, { diffId: digestOf(trailed) });
    expect(applied).toEqual({ diffId: digestOf(trailed), size: trailed.length });
    await expect(applyLayer(piecesOf(trailed), applier, { diffId: digestOf(tar) })).rejects.toMatchObject({
      code: "DIFFID_MISMATCH",
      detail: { expected: digestOf(tar), computed: digestOf(trailed) },
    });
  });

  it("is checked without a tree too", async () => {
    expect(await checkLayer(piecesOf(tar), { diffId: digestOf(tar) })).toEqual({
      diffId: digestOf(tar),
      size: tar.length,
      entries: 1,
    });
    const other = digestOf(tar, "sha512");
    expect((await checkLayer(piecesOf(tar), { algorithm: "sha512" })).diffId).toBe(other);
    await expect(checkLayer(piecesOf(tar), { diffId: digestOf("") })).rejects.toMatchObject({
      code: "DIFFID_MISMATCH",
    });
    await expect(checkLayer(piecesOf(tar.subarray(0, 300)))).rejects.toMatchObject({ code: "LAYER_INVALID" });
    expect(await checkLayer(piecesOf(Buffer.alloc(0)))).toMatchObject({ size: 0, entries: 0 });
  });

  it("is not waited for when the caller gives up", async () => {
    await using dir = await tempDir();
    using applier = new LayerApplier(dir.path);
    const reason = new Error("enough");
    const options: { signal: AbortSignal; diffId: Digest } = {
      signal: AbortSignal.abort(reason),
      diffId: digestOf(tar),
    };
    await expect(applyLayer(piecesOf(tar), applier, options)).rejects.toBe(reason);
    await expect(checkLayer(piecesOf(tar), options)).rejects.toBe(reason);
  });
});
