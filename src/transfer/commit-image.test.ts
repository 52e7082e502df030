import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { unmountBelow } from "../../test/kit/unmount-below.ts";
import { snapshotContext, type SnapshotContext } from "../../test/kit/snapshot/unpacked-image.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { directory, file } from "../../test/kit/trees/tree-node.ts";
import { chainIds } from "../oci/chain-id.ts";
import { parseImageConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Manifest } from "../oci/manifest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { openDriver } from "../snapshot/drivers.ts";
import { mountAll } from "../snapshot/mount-all.ts";
import { commitImage } from "./commit-image.ts";
import { copyImage } from "./copy.ts";
import { collectGarbage } from "./gc.ts";
import { removeImages } from "./images.ts";
import { unpack } from "./unpack.ts";

const umoci = findPeer("umoci");
const isRoot = process.getuid?.() === 0;
const EPOCH = 1_650_000_000;
const LAYERS = [[directory("etc"), file("etc/hosts", "localhost")], [file("etc/motd", "hello")]];
const BASE = { layers: LAYERS, annotations: { "org.example.kept": "yes" }, config: { WorkingDir: "/srv", Odd: 1 } };

async function json(context: SnapshotContext, digest: Digest): Promise<Record<string, unknown>> {
  const bytes = await context.store.content.readBytes(digest, MAX_DOCUMENT_BYTES);
  return JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
}

async function manifestOf(context: SnapshotContext, digest: Digest): Promise<Manifest> {
  return parseManifest(await context.store.content.readBytes(digest, MAX_DOCUMENT_BYTES)) as Manifest;
}

async function treeOf(context: SnapshotContext, image: string): Promise<Awaited<ReturnType<typeof readTree>>> {
  const to = join(context.path, `tree-${image.replaceAll(/\W/g, "-")}`);
  await unpack(context, image, to);
  return readTree(to);
}

describe.skipIf(!isRoot)("commit (needs root)", () => {
  it("puts what was written on top of the image that the snapshot was made from", async () => {
    const context = await snapshotContext();
    const { image, top } = await context.addImage("base:1", BASE);
    const root = await context.prepare("work", top);
    writeFileSync(join(root, "etc/motd"), "changed");
    writeFileSync(join(root, "new"), "new");
    const done = await commitImage(context, "work", "app:2", { message: "change the greeting", author: "me" });
    expect(done).toMatchObject({ snapshot: "work", image: "docker.io/library/app:2" });
    expect(done.base).toBe("docker.io/library/base:1");
    const [layer] = done.layers;
    const manifest = await manifestOf(context, done.digest);
    expect(manifest.mediaType).toBe(MEDIA_TYPES.ociManifest);
    expect(manifest.annotations).toEqual({ "org.example.kept": "yes" });
    expect(manifest.layers.map(({ digest }) => digest)).toEqual([
      ...image.layers.map(({ descriptor }) => descriptor.digest),
      layer?.digest,
    ]);
    const config = await json(context, done.imageId);
    const diffIds = [...image.layers.map(({ diffId }) => diffId), layer!.diffId];
    expect(config).toMatchObject({
      architecture: "amd64",
      author: "me",
      config: { Cmd: ["/bin/sh"], WorkingDir: "/srv", Odd: 1 },
      rootfs: { type: "layers", diff_ids: diffIds },
    });
    const line = { created_by: "varve commit", author: "me", comment: "change the greeting" };
    expect((config["history"] as unknown[]).slice(2)).toEqual([{ created: config["created"], ...line }]);
    expect(done.chainId).toBe(chainIds(diffIds).at(-1));
    const record = await context.store.images.get("docker.io/library/app:2");
    expect(record).toMatchObject({ configDigest: done.imageId, manifest: { platform: { architecture: "amd64" } } });
    expect(await context.store.layers.get(layer!.digest)).toMatchObject({ diffId: layer!.diffId, entries: 3 });
    expect(diffTrees(await treeOf(context, "app:2"), await readTree(root), { root: false })).toEqual([]);
  });

  it("leaves the snapshot as it is, to be written to and committed again", async () => {
    const context = await snapshotContext();
    const { top } = await context.addImage("base:1", BASE);
    const root = await context.prepare("work", top);
    writeFileSync(join(root, "a"), "a");
    await commitImage(context, "work", "app:1");
    writeFileSync(join(root, "b"), "b");
    await commitImage(context, "work", "app:2");
    expect((await context.snapshots.stat("work")).kind).toBe("active");
    expect((await treeOf(context, "app:2")).map(({ path }) => path)).toEqual([
      "",
      "a",
      "b",
      "etc",
      "etc/hosts",
      "etc/motd",
    ]);
  });

  it.each(["gzip", "zstd", "none"] as const)(
    "is the same image each time, with SOURCE_DATE_EPOCH and %s",
    async (compression) => {
      const context = await snapshotContext();
      const { top } = await context.addImage("base:1", BASE);
      const options = { compression, sourceDateEpoch: EPOCH };
      const digests: Digest[] = [];
      for (const key of ["one", "two"]) {
        const root = await context.prepare(key, top);
        mkdirSync(join(root, "d"));
        writeFileSync(join(root, "d/f"), "written at another time");
        digests.push((await commitImage(context, key, `app:${key}`, options)).digest);
      }
      expect(digests[1]).toBe(digests[0]);
      const config = parseImageConfig(
        await context.store.content.readBytes(
          (await manifestOf(context, digests[0]!)).config.digest,
          MAX_DOCUMENT_BYTES,
        ),
      );
      expect(config.created).toBe("2022-04-15T05:20:00Z");
      expect((await treeOf(context, "app:one")).map(({ path }) => path)).toContain("d/f");
    },
  );

  it("takes the image that the label names among those of the same layers, and none that has others", async () => {
    const context = await snapshotContext();
    await context.addImage("a:1", BASE);
    const { top } = await context.addImage("b:1", { ...BASE, config: { WorkingDir: "/b" } });
    const { image: other } = await context.addImage("c:1", { layers: [LAYERS[0]!] });
    await context.prepare("labelled", top, { "varve/image": "b:1" });
    await context.prepare("wrong", top, { "varve/image": other.digest });
    await context.prepare("plain", top);
    const bases: (string | null)[] = [];
    for (const key of ["labelled", "wrong", "plain"]) bases.push((await commitImage(context, key, `of/${key}`)).base);
    expect(bases).toEqual(["docker.io/library/b:1", "docker.io/library/a:1", "docker.io/library/a:1"]);
  });

  it("makes an image from nothing", async () => {
    const context = await snapshotContext();
    const root = await context.prepare("scratch");
    writeFileSync(join(root, "hello"), "hello");
    const done = await commitImage(context, "scratch", "hello:1");
    expect(done.base).toBeNull();
    expect(await json(context, done.imageId)).toMatchObject({
      os: "linux",
      rootfs: { diff_ids: [done.layers[0]?.diffId] },
    });
    expect((await treeOf(context, "hello:1")).map(({ path }) => path)).toEqual(["", "hello"]);
  });

  it("makes a layer of each snapshot that was committed by name in between", async () => {
    const context = await snapshotContext();
    const { top } = await context.addImage("base:1", BASE);
    writeFileSync(join(await context.prepare("first", top), "first"), "1");
    await context.snapshots.commit("tools", "first");
    writeFileSync(join(await context.prepare("second", "tools"), "second"), "2");
    const done = await commitImage(context, "second", "app:1");
    expect(done.layers.length).toBe(2);
    expect((await manifestOf(context, done.digest)).layers.length).toBe(4);
    expect((await treeOf(context, "app:1")).map(({ path }) => path)).toContain("first");
  });

  it("names layers of Docker's by OCI's types", async () => {
    const context = await snapshotContext();
    const { top } = await context.addImage("base:1", { ...BASE, flavour: "docker" });
    await context.prepare("work", top);
    const done = await commitImage(context, "work", "app:1", { compression: "zstd" });
    const { ociLayerGzip, ociLayerZstd, ociConfig } = MEDIA_TYPES;
    const { layers, config } = await manifestOf(context, done.digest);
    expect(layers.map(({ mediaType }) => mediaType)).toEqual([ociLayerGzip, ociLayerGzip, ociLayerZstd]);
    expect(config.mediaType).toBe(ociConfig);
  });

  it("needs nothing of the base's name afterwards", async () => {
    const context = await snapshotContext();
    const { top } = await context.addImage("base:1", BASE);
    writeFileSync(join(await context.prepare("work", top), "f"), "f");
    await commitImage(context, "work", "app:1");
    await removeImages(context, ["base:1"]);
    await collectGarbage(context);
    expect((await treeOf(context, "app:1")).length).toBe(5);
  });

  it("says what is in its way, and then leaves no image", async () => {
    const context = await snapshotContext();
    const { top } = await context.addImage("base:1", BASE);
    const root = await context.prepare("work", top);
    await context.snapshots.view("look", top);
    const code = (promise: Promise<unknown>): Promise<unknown> =>
      promise.catch((error: { code: string }) => error.code);
    expect(await code(commitImage(context, "none", "app:1"))).toBe("SNAPSHOT_NOT_FOUND");
    expect(await code(commitImage(context, "look", "app:1"))).toBe("SNAPSHOT_STATE");
    expect(await code(commitImage(context, top, "app:1"))).toBe("SNAPSHOT_STATE");
    expect(await code(commitImage(context, "work", `app@${top}`))).toBe("REFERENCE_INVALID");
    writeFileSync(join(root, ".wh.x"), "");
    expect(await code(commitImage(context, "work", "app:1"))).toBe("PATH_INVALID");
    await removeImages(context, ["base:1"]);
    expect(await code(commitImage(context, "work", "app:1"))).toBe("IMAGE_NOT_FOUND");
    expect(await context.store.images.list()).toEqual([]);
  });

  it("stops when it is told to", async () => {
    const context = await snapshotContext();
    writeFileSync(join(await context.prepare("work"), "f"), "f");
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(commitImage({ ...context, signal }, "work", "app:1")).rejects.toThrow("enough");
  });
});

describe.skipIf(!canMount())("commit of what was written through mounts (needs root and mounts)", () => {
  it.each(["erofs", "overlay"] as const)("on %s: the image is what the mount showed, also to umoci", async (name) => {
    const context = await snapshotContext(({ store }) => openDriver(name, store));
    const { top } = await context.addImage("base:1", BASE);
    const root = join(context.path, "mnt");
    mkdirSync(root);
    await mountAll(await context.snapshots.prepare("work", top), root);
    try {
      writeFileSync(join(root, "etc/motd"), "changed");
      writeFileSync(join(root, "new"), "new");
      await commitImage(context, "work", "app:1");
      const shown = await readTree(root);
      expect(diffTrees(await treeOf(context, "app:1"), shown, { root: false })).toEqual([]);
      if (umoci === undefined) return;
      const layout = join(context.path, "out");
      await copyImage(context, "app:1", `oci:${layout}:app`);
      const bundle = join(context.path, "bundle");
      await runOk(umoci, ["unpack", "--image", `${layout}:app`, bundle]);
      expect(diffTrees(await readTree(join(bundle, "rootfs")), shown, { root: false, directoryTimes: false })).toEqual(
        [],
      );
    } finally {
      await unmountBelow(root);
    }
  });
});
