/** What a pull unpacks, in which order it binds, and what it leaves alone: with a driver and threads that only take notes. */
import { chmod, writeFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildImage, type KitImage } from "../../test/kit/images/build-image.ts";
import { buildLayer } from "../../test/kit/images/build-layer.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startRegistry, type KitRegistry } from "../../test/kit/registry/registry.ts";
import { FakeDriver, type FakeDriverOptions } from "../../test/kit/snapshot/fake-driver.ts";
import { fakeUnpacking } from "../../test/kit/snapshot/fake-unpacking.ts";
import { transferContext } from "../../test/kit/store/transfer-context.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { LayerThreads } from "../layer/threads.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { Digest } from "../oci/digest.ts";
import { Snapshots } from "../snapshot/service.ts";
import type { TransferContext } from "./context.ts";
import { pull } from "./pull.ts";

const NONE = { choice: "none", open: () => Promise.resolve({ snapshots: undefined }) } as const;

interface Bench {
  readonly context: TransferContext;
  readonly driver: FakeDriver;
  readonly snapshots: Snapshots;
  readonly registry: KitRegistry;
  /** DiffIDs in the order in which layers were unpacked. */
  readonly unpacked: Digest[];
  /** Digests of the layers that were asked for since the last look. */
  readonly fetched: () => Digest[];
  readonly push: (tag: string, image: KitImage) => Promise<string>;
}

async function bench(
  options: FakeDriverOptions & { threads?: (own: LayerThreads) => LayerThreads } = {},
): Promise<Bench> {
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const context = await transferContext();
  const driver = new FakeDriver(context.store, options);
  const snapshots = new Snapshots({ store: context.store, driver });
  const unpacked: Digest[] = [];
  const own = fakeUnpacking(({ diffId }) => void unpacked.push(diffId));
  const images: KitImage[] = [];
  return {
    context: {
      ...context,
      threads: options.threads?.(own) ?? own,
      snapshotter: { choice: "auto", open: () => Promise.resolve({ snapshots }) },
    },
    driver,
    snapshots,
    registry,
    unpacked,
    fetched: () => {
      const layers = new Set(images.flatMap((image) => image.layers.map(({ descriptor }) => descriptor.digest)));
      const asked = registry.requests.flatMap(({ method, path }) => {
        const digest = path.slice(path.lastIndexOf("/") + 1) as Digest;
        return method === "GET" && layers.has(digest) ? [digest] : [];
      });
      registry.clearRequests();
      return asked;
    },
    async push(tag, image) {
      images.push(image);
      await pushImage(registry.host, "app", tag, image);
      registry.clearRequests();
      return `${registry.host}/app:${tag}`;
    },
  };
}

const layer = (name: string, bytes = 100) =>
  buildLayer([file(name, Buffer.alloc(bytes, name))], { compression: "none" });
const diffIdsOf = (image: KitImage): Digest[] => image.layers.map(({ diffId }) => diffId);
const binds = (ids: readonly Digest[]): string[] =>
  ids.map((id, at) => `bind ${id}${at === ids.length - 1 ? " ready" : ""}`);

async function namesOf(snapshots: Snapshots): Promise<string[]> {
  const infos = await Array.fromAsync(snapshots.walk());
  return infos.map(({ key, kind }) => `${kind} ${key}`).sort();
}

describe("a pull that unpacks", () => {
  it("binds the layers in their order, the top one ready to be mounted, and has nothing to do the next time", async () => {
    const { context, driver, snapshots, registry, unpacked, push } = await bench();
    const image = await buildImage({
      layers: [await layer("a", 10), await layer("b", 90_000), await layer("c", 5_000)],
    });
    const name = await push("1", image);
    const result = await pull(context, name, { concurrency: 1 });
    expect(result).toMatchObject({ status: "pulled", snapshotter: "overlay" });
    expect(result.layers.map(({ how, unpack }) => `${how} ${unpack}`)).toEqual(Array(3).fill("full unpacked"));
    expect(driver.calls).toEqual(binds(diffIdsOf(image)));
    expect([...unpacked].sort()).toEqual(diffIdsOf(image).toSorted());
    expect(await namesOf(snapshots)).toEqual(
      chainIds(diffIdsOf(image))
        .map((id) => `committed ${id}`)
        .toSorted(),
    );

    registry.clearRequests();
    const again = await pull(context, name);
    expect(again).toMatchObject({ status: "up-to-date", snapshotter: "overlay", requests: 1 });
    expect(again.layers.map(({ how, unpack }) => `${how} ${unpack}`)).toEqual(Array(3).fill("present present"));
    expect([driver.calls.length, unpacked.length]).toEqual([3, 3]);
  });

  it("neither fetches nor unpacks a base that is here, and takes over a layer that is held under another parent", async () => {
    const { context, driver, unpacked, fetched, push } = await bench();
    const [base, one, two, shared] = [
      await layer("base"),
      await layer("one"),
      await layer("two"),
      await layer("shared"),
    ];
    const first = await buildImage({ layers: [base, one, shared] });
    const second = await buildImage({ layers: [base, two, shared] });
    await pull(context, await push("1", first));
    fetched();
    const name = await push("2", second);
    const result = await pull(context, name);
    expect(fetched()).toEqual([two.descriptor.digest]);
    expect(result.layers.map(({ how, unpack }) => [how, unpack])).toEqual([
      ["present", "present"],
      ["full", "unpacked"],
      ["present", "adopted"],
    ]);
    expect(unpacked.slice(3)).toEqual([two.diffId]);
    expect(driver.calls.slice(3)).toEqual([`bind ${two.diffId}`, `adopt ${shared.diffId} ready`]);
  });

  it("leaves a base where it is that is here in another compression", async () => {
    const { context, unpacked, fetched, push } = await bench();
    const tree = [file("base", "b".repeat(9000))];
    const plain = await buildLayer(tree, { compression: "none" });
    const zipped = await buildLayer(tree, { compression: "gzip" });
    expect(zipped.diffId).toBe(plain.diffId);
    await pull(context, await push("1", await buildImage({ layers: [plain] })));
    fetched();
    const image = await buildImage({ layers: [zipped, await layer("top")] });
    const name = await push("2", image);
    const result = await pull(context, name);
    expect(fetched()).toEqual([image.layers[1]!.descriptor.digest]);
    expect(result.layers.map(({ how }) => how)).toEqual(["present", "full"]);
    expect(unpacked).toHaveLength(2);
    expect(await context.store.layers.get(zipped.descriptor.digest)).toMatchObject({ discardedAt: expect.any(Date) });
    expect(await pull(context, name)).toMatchObject({ status: "up-to-date", requests: 1 });
  });

  it("fetches nothing of a layer that is here in another compression without being unpacked", async () => {
    const { context, unpacked, fetched, push } = await bench();
    const tree = [file("base", "b".repeat(9000))];
    const [zipped, better] = [
      await buildLayer(tree, { compression: "gzip" }),
      await buildLayer(tree, { compression: "zstd" }),
    ];
    await pull({ ...context, snapshotter: NONE }, await push("1", await buildImage({ layers: [zipped] })));
    fetched();
    const name = await push("2", await buildImage({ layers: [better] }));
    expect(await pull(context, name, { plan: true })).toMatchObject({
      layers: [{ how: "present", why: expect.stringContaining("another") }],
    });
    const result = await pull(context, name);
    expect(fetched()).toEqual([]);
    expect(result.layers).toMatchObject([{ how: "present", unpack: "unpacked", requests: 0 }]);
    expect(unpacked).toEqual([better.diffId]);
    expect(await pull(context, name)).toMatchObject({ status: "up-to-date", requests: 1 });
  });

  it("fetches the blob after all when that other form turns out spoilt, and says so", async () => {
    const { context, fetched, push } = await bench();
    const tree = [file("base", "b".repeat(9000))];
    const [zipped, better] = [
      await buildLayer(tree, { compression: "gzip" }),
      await buildLayer(tree, { compression: "zstd" }),
    ];
    await pull({ ...context, snapshotter: NONE }, await push("1", await buildImage({ layers: [zipped] })));
    const path = context.store.content.pathOf(zipped.descriptor.digest);
    await chmod(path, 0o600);
    await writeFile(path, Buffer.alloc(zipped.descriptor.size, 1));
    fetched();
    const result = await pull(context, await push("2", await buildImage({ layers: [better] })));
    expect(fetched()).toEqual([better.descriptor.digest]);
    expect(result.layers).toMatchObject([
      { how: "full", unpack: "unpacked", fallbacks: [{ from: "the same layer in another compression" }] },
    ]);
    expect(await context.store.content.stat(zipped.descriptor.digest)).toBeUndefined();
  });

  it("unpacks a tar that a pull which was killed has left, and keeps it no longer than that", async () => {
    const { context, fetched, push } = await bench();
    const zipped = await buildLayer([file("base", "b".repeat(9000))], { compression: "gzip" });
    await context.store.content.writeBytes(zipped.diffId, gunzipSync(zipped.bytes));
    const result = await pull(context, await push("1", await buildImage({ layers: [zipped] })));
    expect(fetched()).toEqual([]);
    expect(result.layers).toMatchObject([{ how: "present", unpack: "unpacked" }]);
    expect(await context.store.content.stat(zipped.diffId)).toBeUndefined();
  });

  it("keeps such a tar where it is a layer's blob", async () => {
    const { context, fetched, push } = await bench();
    const tree = [file("base", "b".repeat(9000))];
    const [plain, zipped] = [
      await buildLayer(tree, { compression: "none" }),
      await buildLayer(tree, { compression: "gzip" }),
    ];
    await pull({ ...context, snapshotter: NONE }, await push("1", await buildImage({ layers: [plain] })));
    fetched();
    await pull(context, await push("2", await buildImage({ layers: [zipped] })));
    await pull(context, await push("3", await buildImage({ layers: [zipped, plain] })));
    expect(fetched()).toEqual([]);
    expect(await context.store.content.stat(plain.diffId)).toBeDefined();
  });

  it("unpacks a layer once that an image has twice", async () => {
    const { context, driver, unpacked, push } = await bench();
    const [a, b] = [await layer("a"), await layer("b")];
    const image = await buildImage({ layers: [a, b, a] });
    const result = await pull(context, await push("1", image));
    expect(unpacked).toHaveLength(2);
    expect(driver.calls).toEqual([`bind ${a.diffId}`, `bind ${b.diffId}`, `adopt ${a.diffId} ready`]);
    expect(result.layers.map(({ how }) => how)).toEqual(["full", "full", "present"]);
  });

  it("unpacks what came before without being unpacked, from the blobs that are here", async () => {
    const { context, unpacked, fetched, push } = await bench();
    const image = await buildImage({ layers: [await layer("a"), await layer("b")] });
    const name = await push("1", image);
    await pull(context, name, { unpack: false });
    fetched();
    const result = await pull(context, name);
    expect(fetched()).toEqual([]);
    expect(result).toMatchObject({ status: "pulled", bytes: { local: 0 } });
    expect(result.layers.map(({ how, unpack }) => `${how} ${unpack}`)).toEqual(Array(2).fill("present unpacked"));
    expect(unpacked).toHaveLength(2);
  });

  it("gets a blob again that was here and is lost, and does not unpack it again", async () => {
    const { context, unpacked, fetched, push } = await bench();
    const image = await buildImage({ layers: [await layer("a"), await layer("b")] });
    const name = await push("1", image);
    await pull(context, name);
    fetched();
    await context.store.content.remove(image.layers[0]!.descriptor.digest);
    expect(await pull(context, name)).toMatchObject({
      status: "pulled",
      layers: [{ how: "full" }, { how: "present" }],
    });
    expect(fetched()).toEqual([image.layers[0]!.descriptor.digest]);
    expect(unpacked).toHaveLength(2);
  });

  it("applies the tars as it binds where the driver wants that", async () => {
    const { context, driver, unpacked, push } = await bench({ parallel: false });
    const image = await buildImage({ layers: [await layer("a"), await layer("b"), await layer("c")] });
    const result = await pull(context, await push("1", image));
    expect(driver.calls).toEqual(binds(diffIdsOf(image)));
    expect(unpacked).toEqual([]);
    expect(result.layers.map(({ unpack }) => unpack)).toEqual(["unpacked", "unpacked", "unpacked"]);
  });

  it("only checks where nothing can be unpacked, and says why", async () => {
    const { context, push } = await bench();
    const image = await buildImage({ layers: [await layer("a")] });
    const snapshotter = {
      choice: "auto" as const,
      open: () => Promise.resolve({ snapshots: undefined, why: "no way" }),
    };
    const name = await push("1", image);
    const result = await pull({ ...context, snapshotter }, name);
    expect(result).toMatchObject({ status: "pulled", snapshotter: null, warnings: ["no way"] });
    expect(await pull({ ...context, snapshotter }, name)).toMatchObject({ status: "up-to-date", snapshotter: null });
    expect(await context.store.layers.get(image.layers[0]!.descriptor.digest)).toMatchObject({
      diffId: image.layers[0]!.diffId,
    });
  });
});

describe("a pull that unpacks and fails", () => {
  it("keeps what is bound and fetched, and goes on from there", async () => {
    const bad = await layer("bad");
    let broken = true;
    const { context, driver, snapshots, unpacked, push } = await bench({
      onBind: (diffId) => {
        if (broken && diffId === bad.diffId) throw new VarveError("LAYER_INVALID", "does not fit on the layers below");
      },
    });
    const image = await buildImage({ layers: [await layer("a"), await layer("b"), bad, await layer("c")] });
    const name = await push("1", image);
    await expect(pull(context, name)).rejects.toThrow("does not fit");
    const [first, second] = chainIds(diffIdsOf(image));
    expect(await namesOf(snapshots)).toEqual([`committed ${first}`, `committed ${second}`].toSorted());
    expect(await context.store.images.list()).toEqual([]);

    broken = false;
    unpacked.length = 0;
    const result = await pull(context, name);
    expect(result.layers.slice(0, 2).map(({ unpack }) => unpack)).toEqual(["present", "present"]);
    expect(unpacked).not.toContain(image.layers[0]!.diffId);
    expect(driver.calls.at(-1)).toBe(`bind ${image.layers[3]!.diffId} ready`);
  });

  it("tells a layer that is not what the image says, and binds nothing on it", async () => {
    const { context, snapshots, push } = await bench();
    const other = await layer("other");
    const image = await buildImage({
      layers: [await layer("a"), await layer("b"), await layer("c")],
      lies: { layers: [{}, { diffId: other.diffId }] },
    });
    const name = await push("1", image);
    await expect(pull(context, name)).rejects.toMatchObject({ code: "DIFFID_MISMATCH" });
    const names = await namesOf(snapshots);
    expect(names.length).toBeLessThanOrEqual(1);
    expect(names.filter((text) => text.startsWith("active"))).toEqual([]);
    expect(await context.store.content.stat(image.layers[1]!.descriptor.digest)).toBeUndefined();
  });

  it("is stopped by its signal wherever it is, and leaves no staged layers", async () => {
    const stop = new AbortController();
    const { context, snapshots, push } = await bench({
      onBind: () => {
        stop.abort();
      },
    });
    const image = await buildImage({ layers: [await layer("a"), await layer("b")] });
    const name = await push("1", image);
    await expect(pull({ ...context, signal: stop.signal }, name)).rejects.toBeDefined();
    expect((await namesOf(snapshots)).filter((text) => text.startsWith("active"))).toEqual([]);
    expect(await pull(context, name).catch((error: unknown) => error)).toMatchObject({ status: "pulled" });
  });

  it("unpacks with the decoder that is built in when another program fails", async () => {
    const asked: unknown[] = [];
    const { context, push } = await bench({
      threads: (own) => ({
        ...own,
        async unpack(given, target, options) {
          asked.push(options.decompressor);
          if (options.decompressor !== "builtin") throw new VarveError("DECOMPRESSOR_FAILED", "igzip: killed");
          return own.unpack(given, target, options);
        },
      }),
    });
    const name = await push("1", await buildImage({ layers: [await layer("a")] }));
    expect(await pull(context, name)).toMatchObject({ status: "pulled" });
    expect(asked).toEqual([undefined, "builtin"]);
  });
});

describe("pulls that unpack the same at the same time", () => {
  it("unpack each layer once between them", async () => {
    const { context, unpacked, fetched, push, driver } = await bench();
    const layers = await Promise.all(["a", "b", "c", "d"].map((name) => layer(name)));
    const name = await push("1", await buildImage({ layers }));
    const results = await Promise.all([1, 2, 3].map(() => pull(context, name)));
    expect(results.map(({ chainId }) => chainId)).toEqual(Array(3).fill(results[0]!.chainId));
    expect(fetched().toSorted()).toEqual(layers.map(({ descriptor }) => descriptor.digest).toSorted());
    expect(unpacked).toHaveLength(4);
    expect(driver.calls).toHaveLength(4);
  });

  it("never wait for each other for ever, whatever the order of the layers", async () => {
    const { context, snapshots, push } = await bench();
    const layers = await Promise.all(["a", "b", "c", "d", "e"].map((name) => layer(name)));
    const names = [
      await push("1", await buildImage({ layers })),
      await push("2", await buildImage({ layers: layers.toReversed() })),
    ];
    await Promise.all(names.map((name) => pull(context, name, { concurrency: 1 })));
    expect((await namesOf(snapshots)).filter((text) => text.startsWith("committed"))).toHaveLength(10);
  });
});

describe("a pull that discards blobs", () => {
  it("removes each when its layer is bound, has nothing to do the next time, and gets them when they are asked for", async () => {
    const { context, fetched, push } = await bench();
    const { content, layers } = context.store;
    const image = await buildImage({ layers: [await layer("a"), await layer("b")] });
    const name = await push("1", image);
    await pull(context, name, { discardBlobs: true });
    for (const { descriptor, diffId } of image.layers) {
      expect(await content.stat(descriptor.digest)).toBeUndefined();
      expect(await layers.get(descriptor.digest)).toMatchObject({ diffId, discardedAt: expect.any(Date) });
    }
    fetched();
    expect(await pull(context, name)).toMatchObject({ status: "up-to-date", requests: 1 });
    expect(fetched()).toEqual([]);
    await pull(context, name, { unpack: false });
    for (const { descriptor } of image.layers) expect(await content.stat(descriptor.digest)).toBeDefined();
    expect(await layers.get(image.layers[0]!.descriptor.digest)).not.toHaveProperty("discardedAt");
  });

  it("never has more blobs than are begun at once, whatever the order of the layers", async () => {
    let most = 0;
    const one = await bench({
      onBind: async () => {
        const digests = new Set(image.layers.map(({ descriptor }) => descriptor.digest));
        const held = (await Array.fromAsync(one.context.store.content.digests())).filter((digest) =>
          digests.has(digest),
        );
        most = Math.max(most, held.length);
      },
    });
    const [a, b, c] = [await layer("a", 50_000), await layer("b", 10), await layer("c", 7000)];
    const others = await Promise.all(["d", "e", "f", "g", "h", "i"].map((name, at) => layer(name, 1000 * at)));
    const image = await buildImage({ layers: [b, a, c, ...others, a, b, c] });
    const result = await pull(one.context, await one.push("1", image), { discardBlobs: true, concurrency: 1 });
    expect(result.status).toBe("pulled");
    // Those that are repeated stay until they are bound for the last time.
    expect(most).toBeLessThanOrEqual(3 + 3);
    for (const { descriptor } of image.layers) {
      expect(await one.context.store.content.stat(descriptor.digest)).toBeUndefined();
    }
  });

  it("keeps what a repository has, pushed or cached", async () => {
    const { context, push } = await bench();
    const { content, repositories } = context.store;
    const image = await buildImage({ layers: [await layer("pushed"), await layer("cached"), await layer("nobody's")] });
    const name = await push("1", image);
    const [pushed, cached, nobodys] = image.layers.map(({ descriptor }) => descriptor.digest);
    await pull(context, name, { unpack: false });
    await repositories.addBlob({ origin: "hosted", name: "a" }, pushed!);
    await repositories.addBlob({ origin: "mirror", name: "a.example/a" }, cached!);
    await context.store.images.delete(name);
    await pull(context, name, { discardBlobs: true });
    for (const digest of [pushed!, cached!]) expect(await content.stat(digest)).toBeDefined();
    expect(await content.stat(nobodys!)).toBeUndefined();
  });

  it("keeps what another image needs", async () => {
    const { context, push } = await bench();
    const [base, one, two] = [await layer("base"), await layer("one"), await layer("two")];
    await pull(context, await push("1", await buildImage({ layers: [base, one] })));
    await pull(context, await push("2", await buildImage({ layers: [base, two] })), { discardBlobs: true });
    const { content } = context.store;
    expect(await content.stat(base.descriptor.digest)).toBeDefined();
    expect(await content.stat(two.descriptor.digest)).toBeUndefined();
  });
});
