/** Deltas between images: balena's form to the byte, the same whatever they are made with, and nothing left of those that were stopped. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { baseStream, deltaIn, patched, readDeltaImage } from "../../../test/kit/images/delta-layers.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { updatedApp, type UpdatedApp } from "../../../test/kit/images/updated-app.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { runOk } from "../../../test/kit/peers/run.ts";
import { holdImage } from "../../../test/kit/store/hold-image.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { EMPTY_TAR_DIFF_ID } from "../../oci/delta-names.ts";
import { digestOf } from "../../oci/digest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { DeltaPool } from "../../workers/delta-pool.ts";
import { createDelta } from "./create.ts";

async function hold(context: TestContext): Promise<UpdatedApp> {
  const { base, target } = await updatedApp();
  return { base: await holdImage(context, "app:1", base), target: await holdImage(context, "app:2", target) };
}

async function withThreads(): Promise<TestContext> {
  const context = await transferContext();
  const pool = new DeltaPool();
  onTestFinished(() => pool[Symbol.asyncDispose]());
  return { ...context, deltaThreads: () => Promise.resolve(pool) };
}

describe("a delta image", () => {
  it("is what balena's engine reads", async () => {
    const context = await transferContext();
    const { base, target } = await hold(context);
    const made = await createDelta(context, "app:1", "app:2", { tag: "app:1-2" });
    const { manifest, config, tars } = await readDeltaImage(context, "app:1-2");
    expect(made).toMatchObject({ digest: manifest.digest, imageId: manifest.config.digest, helps: true, pushed: null });
    expect(manifest.mediaType).toBe(MEDIA_TYPES.dockerManifest);
    expect(manifest.config.mediaType).toBe(MEDIA_TYPES.dockerConfig);
    expect(config).toEqual({
      created: "2023-11-14T22:13:20Z",
      config: {
        Labels: {
          "io.resin.delta.base": base.config.digest,
          "io.resin.delta.config": target.config.bytes.toString(),
        },
      },
      rootfs: { type: "layers", diff_ids: tars.map((tar) => digestOf(tar)) },
    });
    expect(config.rootfs.diff_ids[0]).toBe(EMPTY_TAR_DIFF_ID);
    expect(manifest.annotations).toEqual({
      "dev.varve.delta.base": base.layers.map(({ diffId }) => diffId).join(" "),
      "dev.varve.delta.target": target.digest,
    });
    for (const [index, layer] of manifest.layers.entries()) {
      expect(layer.mediaType).toBe(MEDIA_TYPES.dockerLayerGzip);
      expect(layer.annotations).toEqual({ "dev.varve.delta.size": String(target.layers[index]!.tar.length) });
    }
    for (const [index, tar] of tars.entries()) {
      if (index === 0) continue;
      // One entry with nothing in its header that could differ, and the end.
      expect(tar.toString("latin1", 0, 6)).toBe("delta\0");
      expect(tar.toString("latin1", 100, 108)).toBe("0000600\0");
      expect(tar.toString("latin1", 136, 147)).toBe("00000000000");
      expect(tar.toString("latin1", 257, 265)).toBe("ustar\x0000");
      expect(tar.toString("latin1", 329, 344)).toBe("0000000\x000000000");
      const delta = deltaIn(tar)!;
      expect(tar.length).toBe(512 + Math.ceil(delta.length / 512) * 512 + 1024);
      expect(Buffer.compare(await patched(base, delta), target.layers[index]!.tar)).toBe(0);
    }
  });

  it("tells of each layer what it gains, and of all as balena's engine does", async () => {
    const context = await transferContext();
    const { target } = await hold(context);
    const made = await createDelta(context, "app:1", "app:2", { tag: "delta" });
    expect(made.layers.map(({ how, helps }) => [how, helps])).toEqual([
      ["common", true],
      ["delta", true],
      ["delta", false],
      ["delta", false],
      ["delta", false],
    ]);
    const [, changed, empty] = made.layers;
    expect(changed).toMatchObject({ bytes: target.layers[1]!.tar.length, blobBytes: target.layers[1]!.bytes.length });
    expect(changed!.deltaBytes).toBeLessThan(800);
    expect(changed!.copiedBytes + changed!.literalBytes).toBe(changed!.bytes);
    expect(empty!.deltaBytes).toBeLessThan(20);
    expect(made.bytes).toBe(target.layers.slice(1).reduce((sum, { tar }) => sum + tar.length, 0));
    const phases = context.events.flatMap((event) => (event.type === "delta" ? [event.phase] : []));
    expect(phases[0]).toBe("common");
    expect(phases).toContain("fingerprinting");
    expect(phases.filter((phase) => phase === "done")).toHaveLength(4);
  });

  it("is the same with threads and without, with one and with several, each time", async () => {
    const [alone, threaded] = [await transferContext(), await withThreads()];
    await hold(alone);
    await hold(threaded);
    const digests = new Set<unknown>();
    digests.add((await createDelta(alone, "app:1", "app:2", { tag: "delta" })).digest);
    for (const jobs of [1, 4]) digests.add((await createDelta(threaded, "app:1", "app:2", { jobs })).digest);
    expect(digests.size).toBe(1);
    for (const jobs of [1, 3]) {
      digests.add((await createDelta(threaded, "app:1", "app:2", { jobs, format: "tar-diff" })).digest);
    }
    digests.add((await createDelta(alone, "app:1", "app:2", { format: "tar-diff" })).digest);
    expect(digests.size).toBe(2);
  });

  it("of an image to itself has next to nothing in it", async () => {
    const context = await transferContext();
    await hold(context);
    const made = await createDelta(context, "app:2", "app:2", { tag: "delta" });
    expect(made).toMatchObject({ deltaBytes: 0, bytes: 0, helps: true });
    const { manifest } = await readDeltaImage(context, "delta");
    for (const { size } of manifest.layers) expect(size).toBeLessThan(100);
  });

  it("of layers that have nothing in common is one of literals, and says that it gains nothing", async () => {
    const context = await transferContext();
    const rng = createRng(3);
    const imageOf = (name: string): Promise<KitImage> => buildImage({ layers: [[file(name, rng.bytes(60_000))]] });
    await holdImage(context, "a", await imageOf("old"));
    const target = await holdImage(context, "b", await imageOf("fresh"));
    const made = await createDelta(context, "a", "b", { tag: "delta" });
    const [layer] = made.layers;
    expect(layer).toMatchObject({ helps: false });
    expect(layer!.deltaBlobBytes).toBeLessThan(target.layers[0]!.bytes.length + 600);
    expect(made.helps).toBe(false);
  });

  it("serves images of different numbers of layers, and of none", async () => {
    const context = await transferContext();
    await hold(context);
    const empty = await holdImage(context, "empty", await buildImage({ layers: [] }));
    expect((await createDelta(context, "app:2", "app:1")).layers).toHaveLength(2);
    expect((await createDelta(context, "app:1", "empty")).layers).toEqual([]);
    const made = await createDelta(context, "empty", "app:1", { tag: "delta" });
    expect(made.layers.map(({ how }) => how)).toEqual(["literal", "literal"]);
    const { tars } = await readDeltaImage(context, "delta");
    expect((await patched(empty, deltaIn(tars[1]!)!)).length).toBe(made.layers[1]!.bytes);
  });

  const rdiff = findPeer("rdiff");
  it.skipIf(rdiff === undefined)("patches the base with rdiff", async () => {
    const context = await transferContext();
    const { base, target } = await hold(context);
    await createDelta(context, "app:1", "app:2", { tag: "delta" });
    const { tars } = await readDeltaImage(context, "delta");
    const [old, delta, out] = ["old", "delta", "out"].map((name) => join(context.path, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(old, baseStream(base));
    for (const [index, tar] of tars.entries()) {
      if (index === 0) continue;
      await writeFile(delta, deltaIn(tar)!);
      await runOk(rdiff!, ["-f", "patch", old, delta, out]);
      expect(digestOf(await readFile(out))).toBe(target.layers[index]!.diffId);
    }
  });
});

describe("names", () => {
  it("is what balena's engine called it, where no other is given", async () => {
    const context = await transferContext();
    const { base, target } = await hold(context);
    const { name } = await createDelta(context, "app:1", "app:2");
    const hex = digestOf(`${base.config.digest}-${target.config.digest}`).slice(7, 15);
    expect(name).toBe(`docker.io/library/delta:delta-${hex}`);
  });

  it.each([
    [["app:1", "nobody"], {}, "IMAGE_NOT_FOUND"],
    [["nobody", "app:2"], {}, "IMAGE_NOT_FOUND"],
    [["app:1", "oci:layout:new"], {}, "USAGE"],
    [["docker://registry.example/app:1", "app:2"], {}, "USAGE"],
    [["app:1", "app:2"], { tag: `app@${digestOf("x")}` }, "REFERENCE_INVALID"],
    [["app:1", "app:2"], { push: "Not A Name" }, "REFERENCE_INVALID"],
  ] as const)("of %j with %j ends in %s before anything is read", async ([from, to], options, code) => {
    const context = await transferContext();
    await hold(context);
    await expect(createDelta(context, from, to, options)).rejects.toMatchObject({ code });
    expect(context.events.some(({ type }) => type === "delta")).toBe(false);
  });

  it("a delta is no image that one is made from", async () => {
    const context = await transferContext();
    await hold(context);
    await createDelta(context, "app:1", "app:2", { tag: "delta" });
    await expect(createDelta(context, "delta", "app:2")).rejects.toMatchObject({ code: "USAGE" });
  });
});

/** What lies in the store but its database. */
async function contentsOf({ store }: TestContext): Promise<string[]> {
  const names = await readdir(store.root, { recursive: true });
  return names.filter((name) => !/^(meta\.db|locks)/.test(name)).toSorted();
}

describe("a delta that is stopped", () => {
  it.each(["fingerprinting", "computing", "queued-layer"])("while %s leaves nothing", async (phase) => {
    const threaded = await withThreads();
    await hold(threaded);
    const before = await contentsOf(threaded);
    const stop = new AbortController();
    const context: TestContext = {
      ...threaded,
      signal: stop.signal,
      onProgress(event) {
        const now = event.type === "delta" ? event.phase : event.type === "layer-start" ? "queued-layer" : "";
        if (now === phase) stop.abort(new VarveError("INTERRUPTED", "stopped"));
      },
    };
    await expect(createDelta(context, "app:1", "app:2")).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(await contentsOf(threaded)).toEqual(before);
    expect((await threaded.store.images.list()).map(({ name }) => name)).toEqual([
      "docker.io/library/app:1",
      "docker.io/library/app:2",
    ]);
    await threaded.store.images.delete("docker.io/library/app:1", "docker.io/library/app:2");
    // Nothing is leased any more, so that all of it can go.
    const { store } = threaded;
    await store.removeUnreferenced(before.flatMap((name) => (name.startsWith("blobs/") ? [digestAt(name)] : [])));
    expect((await contentsOf(threaded)).filter((name) => /[0-9a-f]{64}/.test(name))).toEqual([]);
  });
});

function digestAt(path: string): ReturnType<typeof digestOf> {
  return `sha256:${path.split("/").at(-1)}` as ReturnType<typeof digestOf>;
}

it("a layer that went bad is told of, and no delta made of it", async () => {
  const context = await transferContext();
  const { target } = await hold(context);
  const digest = target.layers[1]!.descriptor.digest;
  await writeFile(context.store.content.pathOf(digest), gunzipSync(target.layers[3]!.bytes));
  const made = createDelta(context, "app:1", "app:2").catch((error: unknown) => error);
  expect(isVarveError(await made, "DELTA_BASE_MISSING") || isVarveError(await made, "DIFFID_MISMATCH")).toBe(true);
});
