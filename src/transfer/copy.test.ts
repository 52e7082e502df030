import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage, buildIndex } from "../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../test/kit/images/oci-layout.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startRegistry } from "../../test/kit/registry/registry.ts";
import { putImage } from "../../test/kit/store/put-image.ts";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import { copyImage } from "./copy.ts";
import { inspectImage, listImages } from "./images.ts";

const arm = { os: "linux", architecture: "arm64" };

async function twoPlatforms() {
  const shared = file("shared", "x".repeat(1000));
  const amd64 = await buildImage({ layers: [[shared], [file("amd64")]] });
  const arm64 = await buildImage({ layers: [[shared], [file("arm64")]], platform: arm });
  return { amd64, arm64, index: buildIndex([amd64, arm64]) };
}

describe("copyImage", () => {
  it("keeps digests on the way through a layout and two archives, and sends nothing twice", async () => {
    const context = await transferContext();
    const { entry, digests } = await putImage(context.store, "docker.io/library/app:1");
    const layout = `oci:${join(context.path, "layout")}:1`;
    const archive = `oci-archive:${join(context.path, "image.tar")}:1`;
    const first = await copyImage(context, "app:1", layout);
    expect(first).toMatchObject({ digest: entry.descriptor.digest, blobs: { copied: 2, present: 0 } });
    expect(first.blobs.copied + 1).toBe(digests.length);
    const again = await copyImage(context, "app:1", layout);
    expect(again).toMatchObject({ blobs: { copied: 0, present: 2 }, bytes: { copied: 0 } });
    await copyImage(context, layout, archive);
    const back = await copyImage(context, archive, "copy:1");
    expect(back).toMatchObject({ digest: entry.descriptor.digest, blobs: { copied: 0, present: 2 } });
    expect((await listImages(context)).map(({ digest }) => digest)).toEqual(Array(2).fill(entry.descriptor.digest));
  });

  it("takes one platform of an index, or with `all` the index with everything", async () => {
    const context = await transferContext();
    const { index, arm64 } = await twoPlatforms();
    const dir = join(context.path, "source");
    await writeOciLayout(dir, index, "1");
    const one = await copyImage(context, `oci:${dir}:1`, `oci:${join(context.path, "one")}:1`, { platform: arm });
    expect(one).toMatchObject({ digest: arm64.digest, blobs: { copied: 3, present: 0 } });
    const all = await copyImage(context, `oci:${dir}:1`, `oci:${join(context.path, "all")}:1`, { all: true });
    expect(all).toMatchObject({ digest: index.digest, blobs: { copied: 5, present: 0 } });
    expect(await inspectImage(context, `oci:${join(context.path, "all")}:1`, { platform: arm })).toMatchObject({
      digest: index.digest,
      imageId: arm64.config.digest,
    });
    const both = copyImage(context, `oci:${dir}:1`, "x:1", { all: true, platform: arm });
    await expect(both).rejects.toMatchObject({ code: "USAGE" });
  });

  it("holds no more manifests in memory than any real image has", async () => {
    const context = await transferContext();
    const images = Array.from({ length: 17 }, (_, at) =>
      buildImage({ layers: [], platform: { ...arm, variant: `v${at}` }, lies: { manifestBytes: 4 * 1024 * 1024 } }),
    );
    const dir = join(context.path, "source");
    await writeOciLayout(dir, buildIndex(await Promise.all(images)), "1");
    const copying = copyImage(context, `oci:${dir}:1`, "many:1", { all: true });
    await expect(copying).rejects.toMatchObject({ code: "MANIFEST_TOO_LARGE" });
  });

  it("copies from a registry, checking what comes", async () => {
    const context = await transferContext();
    await using registry = await startRegistry({ quirks: { credulous: true } });
    const layers = [[file("f", "x".repeat(5000))]];
    await pushImage(registry.host, "good", "1", await buildImage({ layers }));
    const good = await copyImage(context, `docker://${registry.host}/good:1`, "good:1");
    expect(good.blobs).toEqual({ copied: 2, mounted: 0, present: 0 });
    const lies = { layers: { 0: { corrupt: true } } } as const;
    await using liar = await startRegistry({ quirks: { credulous: true } });
    await pushImage(liar.host, "bad", "1", await buildImage({ layers: [[file("g", "y".repeat(5000))]], lies }));
    const target = `oci:${join(context.path, "bad")}:1`;
    const bad = copyImage(context, `docker://${liar.host}/bad:1`, target);
    await expect(bad).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    await expect(inspectImage(context, target)).rejects.toMatchObject({ exitCode: 3 });
    const stored = copyImage(context, `docker://${liar.host}/bad:1`, "bad:1");
    await expect(stored).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    expect(await listImages(context)).toHaveLength(1);
  });

  it("cannot copy from nothing", async () => {
    const context = await transferContext();
    await expect(copyImage(context, "nothing:1", "x:1")).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    const none = copyImage(context, `oci:${join(context.path, "none")}:1`, "x:1");
    await expect(none).rejects.toMatchObject({ exitCode: 3 });
  });

  it("tells how far it has come, blob by blob", async () => {
    const context = await transferContext();
    const { layer, config } = await putImage(context.store, "docker.io/library/app:1");
    await copyImage(context, "app:1", `oci:${join(context.path, "layout")}:1`);
    for (const { digest, size } of [layer, config]) {
      const own = context.events.filter((event) => "digest" in event && event.digest === digest);
      expect(own.at(0)).toEqual({ type: "layer-queued", digest, total: size, done: 0 });
      expect(own.at(1)).toMatchObject({ type: "layer-start", total: size });
      expect(own.at(-1)).toEqual({ type: "layer-done", digest, total: size });
    }
  });

  it("stops when it is told to", async () => {
    const context = await transferContext();
    await putImage(context.store, "docker.io/library/app:1");
    const stopped = { ...context, signal: AbortSignal.abort() };
    const target = `oci:${join(context.path, "layout")}:1`;
    await expect(copyImage(stopped, "app:1", target)).rejects.toThrow(/abort|interrupt/i);
    await expect(inspectImage(context, target)).rejects.toMatchObject({ exitCode: 3 });
  });
});
