import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { putImage } from "../../test/kit/store/put-image.ts";
import { openIngest } from "../../test/kit/store/open-ingest.ts";
import { sample } from "../../test/kit/store/sample.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { openStore, type Store } from "./store.ts";
import { reachable } from "./unreferenced.ts";

async function present(store: Store): Promise<string[]> {
  return (await Array.fromAsync(store.content.list(), ({ digest }) => digest as string)).sort();
}

const sorted = (digests: Iterable<Digest>): string[] => [...digests].sort();

describe("removing an image's content", () => {
  it("frees what only this image had, and keeps what others share", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const one = await putImage(store, "a.example/x:1", { author: "one" });
    const two = await putImage(store, "a.example/x:2", { author: "two", index: true });
    const verified = {
      diffId: digestOf("tar"),
      mediaType: "x",
      size: 1,
      uncompressedSize: 2,
      entries: 1,
      verifiedAt: new Date(5),
    };
    await store.layers.put({ digest: one.layer.digest, ...verified });
    expect((await store.removeUnreferenced([...one.digests, ...two.digests])).deleted).toEqual([]);

    await store.images.delete("a.example/x:2");
    const removed = await store.removeUnreferenced(two.digests);
    expect(sorted(removed.deleted)).toEqual(sorted(two.digests.filter((digest) => digest !== two.layer.digest)));
    expect(await present(store)).toEqual(sorted(one.digests));
    expect(await store.layers.get(one.layer.digest)).toMatchObject({ diffId: digestOf("tar") });

    await store.images.delete("a.example/x:1");
    const { freedBytes } = await store.removeUnreferenced(one.digests);
    expect(freedBytes).toBe(one.layer.size + one.config.size + one.entry.manifest.size);
    expect(await present(store)).toEqual([]);
    expect(await store.layers.get(one.layer.digest)).toBeUndefined();
    expect(await store.removeUnreferenced(one.digests)).toEqual({ deleted: [], disks: [], freedBytes: 0 });
  });

  it("keeps an image that has another name", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { digests, entry } = await putImage(store, "a.example/x:1", { index: true });
    await store.images.put({ ...entry, name: "a.example/y:1" });
    await store.images.delete("a.example/x:1");
    expect((await store.removeUnreferenced(digests)).deleted).toEqual([]);
  });

  it("keeps what a pull has leased or is writing, though no image shows it yet", async () => {
    await using dir = await tempDir();
    let now = 0;
    await using store = await openStore(dir.path, { clock: () => now });
    const { layer, digests } = await putImage(store, "a.example/x:1");
    const lease = await store.leases.create(1000);
    await lease.add(layer.digest);
    await store.images.delete("a.example/x:1");
    await using busy = await openIngest(store, sample(10));
    expect((await store.removeUnreferenced([...digests, busy.digest])).deleted).not.toContain(layer.digest);
    expect(await present(store)).toEqual([layer.digest]);
    now = 999;
    expect((await store.removeUnreferenced([layer.digest])).deleted).toEqual([]);
    now = 1000;
    expect((await store.removeUnreferenced([layer.digest])).deleted).toEqual([layer.digest]);
  });

  it("keeps what other tools refer to in index.json", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { digests, entry } = await putImage(store, "a.example/x:1");
    const theirs = { ...entry.descriptor, annotations: { "org.opencontainers.image.ref.name": "theirs" } };
    await writeFile(join(dir.path, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [theirs] }));
    await store.images.delete("a.example/x:1");
    expect((await store.removeUnreferenced(digests)).deleted).toEqual([]);
    expect(await present(store)).toEqual(sorted(digests));
  });

  it("waits for nobody: a damaged image of another name only loses what it cannot name any more", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const good = await putImage(store, "a.example/good:1", { text: "good" });
    const bad = await putImage(store, "a.example/bad:1", { text: "bad" });
    const { path } = (await store.content.stat(bad.entry.manifest.digest))!;
    await chmod(path, 0o600);
    await writeFile(path, "{}");
    await store.images.delete("a.example/good:1");
    const { deleted } = await store.removeUnreferenced([...good.digests, bad.entry.manifest.digest]);
    expect(sorted(deleted)).toEqual(sorted(good.digests));
  });
});

describe("what an image reaches", () => {
  it("includes what the store lacks, once each, and ends where indexes nest too deep", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const image = await putImage(store, "a.example/x:1", { index: true });
    let root = image.entry.descriptor;
    for (let depth = 0; depth < 20; depth++) {
      const bytes = Buffer.from(
        JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [root, root] }),
      );
      await store.content.writeBytes(digestOf(bytes), bytes);
      root = { mediaType: MEDIA_TYPES.ociIndex, digest: digestOf(bytes), size: bytes.length };
    }
    const found = await reachable(store.content, [image.entry.descriptor]);
    expect(sorted(found.keys())).toEqual(sorted([...image.digests, digestOf("absent")]));
    expect((await reachable(store.content, [root])).size).toBe(8);
  });
});

describe("leases", () => {
  it("end when they are released or expire, and begin anew when they are used after that", async () => {
    await using dir = await tempDir();
    let now = 0;
    await using store = await openStore(dir.path, { clock: () => now });
    const digest = digestOf("x");
    const [first, second] = [await store.leases.create(10), await store.leases.create(20)];
    await first.add(digest, digest);
    await second.add(digest);
    now = 10;
    expect(await store.leases.isLeased(digest)).toBe(true);
    await second.release();
    await second.release();
    expect(await store.leases.isLeased(digest)).toBe(false);
    await first.extend(5);
    now = 14;
    expect(await store.leases.isLeased(digest)).toBe(true);
    now = 15;
    expect(await store.leases.isLeased(digest)).toBe(false);
    await store.leases.create();
    await first.add(digestOf("y"));
    expect(await store.leases.isLeased(digestOf("y"))).toBe(true);
    expect(await store.leases.isLeased(digest)).toBe(false);
  });
});

describe("layer records", () => {
  it("are found by blob and by DiffID", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const record = {
      digest: digestOf("gzip"),
      diffId: digestOf("tar"),
      mediaType: MEDIA_TYPES.ociLayerGzip,
      size: 10,
      uncompressedSize: 2 ** 40,
      entries: 3,
      verifiedAt: new Date(1234),
    };
    await store.layers.put(record);
    await store.layers.put({ ...record, entries: 4 });
    await store.layers.put({ ...record, digest: digestOf("zstd"), mediaType: MEDIA_TYPES.ociLayerZstd });
    expect(await store.layers.get(record.digest)).toEqual({ ...record, entries: 4 });
    expect((await store.layers.findByDiffId(record.diffId)).map(({ digest }) => digest as string)).toEqual(
      sorted([digestOf("gzip"), digestOf("zstd")]),
    );
    expect(await store.layers.delete(record.digest)).toBe(true);
    expect(await store.layers.delete(record.digest)).toBe(false);
    expect(await store.layers.get(record.digest)).toBeUndefined();
  });
});
