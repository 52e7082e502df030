/** Deltas on their way to a registry: as images of their own, and beside their target, where plain pulls find them. */
import { describe, expect, it } from "vitest";
import { at } from "../../../test/kit/http/test-client.ts";
import { updatedApp } from "../../../test/kit/images/updated-app.ts";
import { startRegistry } from "../../../test/kit/registry/registry.ts";
import { holdImage } from "../../../test/kit/store/hold-image.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { DELTA_CONFIG_MEDIA_TYPE } from "../../oci/delta-names.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { copyImage } from "../copy.ts";
import { pushImage } from "../push.ts";
import { createDelta } from "./create.ts";
import { inspectDelta } from "./inspect.ts";

async function hold(): Promise<TestContext> {
  const context = await transferContext();
  const { base, target } = await updatedApp();
  await holdImage(context, "app:1", base);
  await holdImage(context, "app:2", target);
  return context;
}

/** What the repository lists as deltas of the image. */
async function deltasOf(
  { registry }: TestContext,
  { host }: { readonly host: string },
  image: Digest,
): Promise<readonly Descriptor[]> {
  return registry.referrers(at(host), image, { artifactType: DELTA_CONFIG_MEDIA_TYPE });
}

describe("a delta image", () => {
  it("is pushed under its own name, and listed where its target is", async () => {
    await using registry = await startRegistry();
    const context = await hold();
    const { digest: target } = await pushImage(context, "app:2", { to: `${registry.host}/team/app:2` });
    const push = `${registry.host}/team/app:1-2`;
    const made = await createDelta(context, "app:1", "app:2", { push });
    expect(made).toMatchObject({ name: null, pushed: push, isListed: true, warnings: [] });
    const images = (await context.store.images.list()).map(({ name }) => name);
    expect(images).toEqual(["docker.io/library/app:1", "docker.io/library/app:2"]);
    const there = await inspectDelta(context, `docker://${push}`);
    expect(there).toMatchObject({ kind: "image", digest: made.digest, isApplicable: true });
    const [listed, ...others] = await deltasOf(context, registry, target);
    expect(others).toEqual([]);
    const list = await inspectDelta(context, `docker://${registry.host}/team/app@${listed!.digest}`);
    expect(list).toMatchObject({ kind: "list", isApplicable: true });
    // The very blobs of the image, those that gain something.
    const helping = made.layers.filter(({ how, helps }) => how !== "common" && helps);
    expect(list.layers.map(({ diffId }) => diffId)).toEqual(helping.map(({ diffId }) => diffId));
    for (const { blob } of list.layers) expect(there.layers.some((layer) => layer.blob === blob)).toBe(true);
  });

  it("goes where its target is not, too", async () => {
    await using registry = await startRegistry();
    const context = await hold();
    const made = await createDelta(context, "app:1", "app:2", { tag: "delta", push: `${registry.host}/deltas:1-2` });
    expect(made).toMatchObject({ name: "docker.io/library/delta:latest", isListed: false, warnings: [] });
  });
});

describe("tar-diffs", () => {
  it("go beside their target, those that are clearly smaller than the layers", async () => {
    await using registry = await startRegistry();
    const context = await hold();
    const { digest: target } = await pushImage(context, "app:2", { to: `${registry.host}/team/app:2` });
    const made = await createDelta(context, "app:1", "app:2", {
      format: "tar-diff",
      push: `${registry.host}/team/app`,
    });
    expect(made.layers.map(({ how }) => how)).toEqual(["common", "delta", "none", "none", "none"]);
    expect((await deltasOf(context, registry, target)).map(({ digest }) => digest)).toEqual([made.digest]);
    const list = await inspectDelta(context, `docker://${registry.host}/team/app@${made.digest}`);
    expect(list.layers.map(({ how, diffId }) => [how, diffId])).toEqual([["tar-diff", made.layers[1]!.diffId]]);
  });

  it("are refused before any is made where the target is not", async () => {
    await using registry = await startRegistry();
    const context = await hold();
    const push = `${registry.host}/team/app`;
    const refused = createDelta(context, "app:1", "app:2", { format: "tar-diff", push });
    await expect(refused).rejects.toMatchObject({
      code: "MANIFEST_UNKNOWN",
      hint: expect.stringContaining("varve push app:2"),
    });
    expect(context.events.some(({ type }) => type === "delta")).toBe(false);
  });

  it("that were kept go along with their target", async () => {
    await using registry = await startRegistry();
    const context = await hold();
    const { digest } = await createDelta(context, "app:1", "app:2", { format: "tar-diff", tag: "delta" });
    const to = `docker://${registry.host}/team/app:2`;
    const { digest: target } = await copyImage(context, "app:2", to, { referrers: true });
    expect((await deltasOf(context, registry, target)).map((one) => one.digest)).toEqual([digest]);
  });

  it("are not made where none gains anything", async () => {
    const context = await hold();
    const made = await createDelta(context, "app:2", "app:2", { format: "tar-diff" });
    expect(made).toMatchObject({
      digest: null,
      name: null,
      helps: true,
      layers: made.layers.map(() => ({ how: "common" })),
    });
    expect(await context.store.images.list()).toHaveLength(2);
  });
});
