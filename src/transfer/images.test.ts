import { describe, expect, it } from "vitest";
import { putImage } from "../../test/kit/store/put-image.ts";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { diskUsage } from "./disk-usage.ts";
import { inspectImage, listImages, rawDocument, removeImages, tagImage } from "./images.ts";

const A = "docker.io/library/a:1";
const B = "docker.io/library/b:1";

describe("listImages", () => {
  it("tells of each image what people ask for", async () => {
    const context = await transferContext();
    const { entry, config, layer } = await putImage(context.store, A, { index: true });
    expect(await listImages(context)).toEqual([
      {
        name: A,
        tag: "1",
        digest: entry.descriptor.digest,
        imageId: config.digest,
        platform: "linux/amd64",
        size: config.size + layer.size,
        layers: 1,
        createdAt: null,
        pulledAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      },
    ]);
  });

  it("lists an image whose documents are gone, beside those that are whole", async () => {
    const context = await transferContext();
    const { entry } = await putImage(context.store, A);
    await putImage(context.store, B, { text: "other" });
    await context.store.content.remove(entry.manifest.digest);
    expect(await listImages(context)).toMatchObject([
      { name: A, layers: 0 },
      { name: B, layers: 1 },
    ]);
    await expect(inspectImage(context, A)).rejects.toMatchObject({ name: "VarveError" });
  });
});

describe("inspectImage", () => {
  it("gives plain fields, and the platforms of the index", async () => {
    const context = await transferContext();
    const { config, layer, entry } = await putImage(context.store, A, { index: true, author: "somebody" });
    expect(await inspectImage(context, "a:1")).toMatchObject({
      name: A,
      digest: entry.descriptor.digest,
      manifestDigest: entry.manifest.digest,
      imageId: config.digest,
      author: "somebody",
      platform: "linux/amd64",
      platforms: ["linux/s390x", "linux/amd64"],
      layers: [{ digest: layer.digest, diffId: expect.stringMatching(/^sha256:/) }],
    });
  });

  it("gives the documents byte by byte", async () => {
    const context = await transferContext();
    const { config, entry } = await putImage(context.store, A, { index: true });
    const read = async (digest: typeof config.digest): Promise<Uint8Array> =>
      context.store.content.readBytes(digest, 1e6);
    expect(await rawDocument(context, A, "manifest")).toEqual(await read(entry.descriptor.digest));
    expect(await rawDocument(context, A, "config")).toEqual(await read(config.digest));
    const platform = { os: "linux", architecture: "amd64" };
    expect(await rawDocument(context, A, "manifest", { platform })).toEqual(await read(entry.manifest.digest));
  });
});

describe("tagImage", () => {
  it("gives one more name, which may have stood for another image", async () => {
    const context = await transferContext();
    const { entry } = await putImage(context.store, A);
    await putImage(context.store, B, { text: "other" });
    await tagImage(context, "a:1", "b:1");
    expect((await listImages(context)).map(({ digest }) => digest)).toEqual([
      entry.descriptor.digest,
      entry.descriptor.digest,
    ]);
    const digest = `b@${entry.descriptor.digest}`;
    await expect(tagImage(context, "a:1", digest)).rejects.toMatchObject({ code: "REFERENCE_INVALID" });
    await expect(tagImage(context, "nothing", "b:2")).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
  });
});

describe("removeImages", () => {
  it("removes what only they need, and tells what that frees", async () => {
    const context = await transferContext();
    const a = await putImage(context.store, A);
    const b = await putImage(context.store, B, { author: "another" });
    expect(a.layer.digest).toBe(b.layer.digest);
    const first = await removeImages(context, ["a:1"]);
    expect(first.untagged).toEqual([A]);
    expect(new Set(first.deleted)).toEqual(new Set(a.digests.filter((digest) => digest !== a.layer.digest)));
    const second = await removeImages(context, [b.config.digest]);
    expect(new Set(second.deleted)).toEqual(new Set(b.digests));
    expect(await Array.fromAsync(context.store.content.list())).toEqual([]);
    expect(first.freedBytes + second.freedBytes).toBeGreaterThan(0);
  });

  it("removes nothing when one of the names is unknown", async () => {
    const context = await transferContext();
    await putImage(context.store, A);
    await expect(removeImages(context, ["a:1", "nothing"])).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    expect(await listImages(context)).toHaveLength(1);
  });
});

describe("diskUsage", () => {
  it("tells what is shared, what is an image's own, and what is nobody's", async () => {
    const context = await transferContext();
    const { layer } = await putImage(context.store, A);
    await putImage(context.store, B, { author: "another" });
    await tagImage(context, "a:1", "again:1");
    const usage = await diskUsage(context);
    expect(usage.images).toMatchObject({ count: 3, sharedBytes: layer.size });
    for (const { bytes, ownBytes } of usage.images.each) expect(bytes - ownBytes).toBe(layer.size);
    expect(usage.unreferenced).toEqual({ count: 0, bytes: 0 });
    await context.store.images.delete(A, "docker.io/library/again:1");
    const after = await diskUsage(context);
    expect(after.unreferenced.count).toBe(2);
    expect(after.blobs).toEqual(usage.blobs);
    expect(after.totalBytes).toBe(usage.totalBytes);
  });
});
