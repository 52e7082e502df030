/** What is said of a delta: where it is from, what it makes and does, and whether it could be applied here. */
import { describe, expect, it } from "vitest";
import { updatedApp } from "../../../test/kit/images/updated-app.ts";
import { holdImage } from "../../../test/kit/store/hold-image.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { copyImage } from "../copy.ts";
import { createDelta } from "./create.ts";
import { inspectDelta } from "./inspect.ts";

async function made(
  context: TestContext,
  format: "librsync" | "tar-diff",
): Promise<Awaited<ReturnType<typeof createDelta>>> {
  const { base, target } = await updatedApp();
  await holdImage(context, "app:1", base);
  await holdImage(context, "app:2", target);
  return createDelta(context, "app:1", "app:2", { format, tag: "delta" });
}

describe("inspectDelta", () => {
  it("tells of a delta image what creating it has told", async () => {
    const context = await transferContext();
    const { layers, digest, baseId, targetId, ...created } = await made(context, "librsync");
    const details = await inspectDelta(context, "delta");
    expect(details).toMatchObject({
      kind: "image",
      digest,
      base: { imageId: baseId, names: ["docker.io/library/app:1"] },
      target: { imageId: targetId, names: ["docker.io/library/app:2"] },
      isApplicable: true,
      bytes: created.bytes,
      deltaBytes: created.deltaBytes,
      deltaBlobBytes: created.deltaBlobBytes,
    });
    expect(details.layers.map(({ how }) => how)).toEqual(["common", ...Array(4).fill("librsync-delta")]);
    for (const [index, layer] of details.layers.entries()) {
      const { diffId, bytes, deltaBytes, commands, copiedBytes, literalBytes } = layers[index]!;
      expect(layer).toMatchObject({ diffId, bytes, deltaBytes, commands, copiedBytes, literalBytes, isBaseHere: true });
    }
  });

  it("tells of a list of tar-diffs what creating it has told", async () => {
    const context = await transferContext();
    const { layers, digest } = await made(context, "tar-diff");
    const { kind, target, isApplicable, ...details } = await inspectDelta(context, "delta");
    expect([kind, details.digest, isApplicable]).toEqual(["list", digest, true]);
    expect(target).toMatchObject({ imageId: null, names: ["docker.io/library/app:2"] });
    const delta = layers.find(({ how }) => how === "delta");
    expect(details.layers).toHaveLength(1);
    const { diffId, bytes, deltaBlobBytes, literalBytes, from } = delta!;
    expect(details.layers[0]).toMatchObject({
      how: "tar-diff",
      diffId,
      bytes,
      deltaBlobBytes,
      literalBytes,
      from: [from],
    });
  });

  it.each(["librsync", "tar-diff"] as const)("says where the base of %s is not", async (format) => {
    const [context, other] = [await transferContext(), await transferContext()];
    await made(context, format);
    const layout = `oci:${other.path}/moved:1`;
    await copyImage(context, "delta", layout);
    const details = await inspectDelta(other, layout);
    expect(details).toMatchObject({ isApplicable: false, base: { names: [] }, target: { names: [] } });
    expect(details.layers.every(({ isBaseHere }) => !isBaseHere)).toBe(true);
    const root = context.store.root;
    expect(await inspectDelta(other, layout, { deltaRoots: [root] })).toMatchObject({ isApplicable: true });
  });

  it("says of another image that it is none", async () => {
    const context = await transferContext();
    await made(context, "librsync");
    await expect(inspectDelta(context, "app:1")).rejects.toMatchObject({ code: "USAGE" });
  });
});
