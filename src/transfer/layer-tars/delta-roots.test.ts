import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../../test/kit/images/oci-layout.ts";
import { canMountOverlays, mountOverlay } from "../../../test/kit/layer/overlay-layers.ts";
import { pieceOf } from "../../../test/kit/layer/memory-tar.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { digestOf } from "../../oci/digest.ts";
import { StoreLayout } from "../../store/layout.ts";
import { openStore } from "../../store/store.ts";
import { copyImage } from "../copy.ts";
import { openDeltaRoots } from "./delta-roots.ts";
import { HeldLayerTars } from "./held-layer-tars.ts";

const { signal } = new AbortController();
const LAYERS = [[file("a", "one")], [file("b", "two")]];

/** All names below a directory with their times and contents. */
async function stateOf(directory: string): Promise<string> {
  const hash = createHash("sha256");
  for (const name of (await readdir(directory, { recursive: true })).toSorted()) {
    const found = await stat(join(directory, name));
    hash.update(`${name} ${found.mtimeMs} ${found.ctimeMs} ${found.ino}\n`);
    if (found.isFile()) hash.update(await readFile(join(directory, name)));
  }
  return hash.digest("hex");
}

describe("stores that deltas may copy from", () => {
  it("are image layouts of any tool", async () => {
    const context = await transferContext();
    const directory = join(context.path, "layout");
    const images = [await buildImage({ layers: LAYERS }), await buildImage({ layers: [[file("c", "three")]] })];
    for (const [at, image] of images.entries()) await writeOciLayout(directory, image, `tag-${at}`);
    await rm(join(directory, "oci-layout"));
    const before = await stateOf(directory);
    await using tars = new HeldLayerTars({ ...context, roots: await openDeltaRoots([directory, directory], signal) });
    for (const { layers, config } of images) {
      for (const { diffId, tar } of layers) {
        expect(await tars.has(diffId)).toBe(true);
        await using opened = await tars.open(diffId);
        expect((await pieceOf(opened, 0, opened.size)).equals(tar)).toBe(true);
      }
      expect(digestOf((await tars.config(config.digest))!)).toBe(config.digest);
    }
    expect(await tars.has(digestOf("other"))).toBe(false);
    expect(await stateOf(directory)).toBe(before);
  });

  it("are varve's own, of which nothing is changed, also not where it could be", async () => {
    const context = await transferContext();
    const root = join(context.path, "second");
    const image = await buildImage({ layers: LAYERS });
    await writeOciLayout(join(context.path, "layout"), image);
    const unpacked = Buffer.from("the tar of a layer that is unpacked");
    {
      await using store = await openStore(root, { sync: false });
      await copyImage({ ...context, store }, `oci:${join(context.path, "layout")}`, "localhost/image:1");
      const folder = new StoreLayout(root).layer(digestOf(unpacked));
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "layer.tar"), unpacked);
    }
    const before = await stateOf(root);
    await chmod(root, 0o555);
    await using tars = new HeldLayerTars({ ...context, roots: await openDeltaRoots([root], signal) });
    for (const { diffId, tar } of image.layers) {
      await using opened = await tars.open(diffId);
      expect((await pieceOf(opened, 0, opened.size)).equals(tar)).toBe(true);
    }
    await using opened = await tars.open(digestOf(unpacked));
    expect((await pieceOf(opened, 0, opened.size)).equals(unpacked)).toBe(true);
    await chmod(root, 0o755);
    expect(await readdir(root)).not.toContain("meta.db-shm");
    expect((await stateOf(root)) === before).toBe(true);
  });

  it.skipIf(!canMountOverlays)("may lie where nothing can be written", async () => {
    const context = await transferContext();
    const root = join(context.path, "second");
    const image = await buildImage({ layers: LAYERS });
    await writeOciLayout(join(context.path, "layout"), image);
    {
      await using store = await openStore(root, { sync: false });
      await copyImage({ ...context, store }, `oci:${join(context.path, "layout")}`, "localhost/image:1");
    }
    await mkdir(join(context.path, "empty"));
    using mount = mountOverlay([root, join(context.path, "empty")]);
    await expect(writeFile(`${mount.path}/file`, "")).rejects.toMatchObject({ code: "EROFS" });
    await using tars = new HeldLayerTars({ ...context, roots: await openDeltaRoots([mount.path], signal) });
    for (const { diffId, tar } of image.layers) {
      await using opened = await tars.open(diffId);
      expect((await pieceOf(opened, 0, opened.size)).equals(tar)).toBe(true);
    }
  });

  it("come after the own store, and help out where that is damaged", async () => {
    const context = await transferContext();
    const directory = join(context.path, "layout");
    const image = await buildImage({ layers: LAYERS });
    await writeOciLayout(directory, image);
    await copyImage(context, `oci:${directory}`, "localhost/image:1");
    const [first, second] = image.layers;
    await rm(context.store.content.pathOf(first!.descriptor.digest));
    await rm(context.store.content.pathOf(second!.descriptor.digest));
    await writeFile(context.store.content.pathOf(second!.descriptor.digest), "damaged");
    await using tars = new HeldLayerTars({ ...context, roots: await openDeltaRoots([directory], signal) });
    for (const { diffId, tar } of image.layers) {
      await using opened = await tars.open(diffId);
      expect((await pieceOf(opened, 0, opened.size)).equals(tar)).toBe(true);
    }
  });

  it("are refused when they are something else", async () => {
    const context = await transferContext();
    const fails = async (directory: string, code: string): Promise<void> => {
      await expect(openDeltaRoots([directory], signal)).rejects.toMatchObject({ code });
    };
    await fails(join(context.path, "none"), "FILE_NOT_FOUND");
    await writeFile(join(context.path, "file"), "");
    await fails(join(context.path, "file"), "PATH_INVALID");
    const directory = join(context.path, "directory");
    await mkdir(directory);
    await fails(directory, "PATH_INVALID");
    await writeFile(join(directory, "oci-layout"), `{"imageLayoutVersion": "2.0.0"}`);
    await fails(directory, "ARCHIVE_INVALID");
    await writeFile(join(directory, "oci-layout"), `{"imageLayoutVersion": "1.0.0"}`);
    await writeFile(join(directory, "index.json"), "no JSON");
    await fails(directory, "ARCHIVE_INVALID");
  });

  it("lead nowhere by what is damaged in them, or names what they lack", async () => {
    const context = await transferContext();
    const directory = join(context.path, "layout");
    const image = await buildImage({ layers: LAYERS });
    await writeOciLayout(directory, image);
    await rm(join(directory, "blobs", "sha256", image.config.digest.slice(7)));
    await using tars = new HeldLayerTars({ ...context, roots: await openDeltaRoots([directory], signal) });
    expect(await tars.has(image.layers[0]!.diffId)).toBe(false);
    expect(await tars.config(image.config.digest)).toBeUndefined();
  });
});
