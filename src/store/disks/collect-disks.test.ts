/** Disks go when no image of a machine, no lease and no process needs them, and not before. */
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { tartImage } from "../../../test/kit/disk/tart-image.ts";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { fileKey } from "../layout.ts";
import { openStore, type Store } from "../store.ts";
import type { DiskContent } from "./types.ts";

const PARTIAL_BYTES = 200_000;
const WEEK_MS = 7 * 24 * 3600 * 1000;

async function putDisk(store: Store, key: Digest, bytes: Buffer): Promise<void> {
  await using staged = await store.disks.stage();
  await writeFile(staged.path, bytes);
  await staged.publish(key, [{ digest: digestOf(bytes), size: bytes.length, offset: 0 }]);
}

async function putMachine(store: Store, name: string, seed: number): Promise<{ key: Digest; digests: Digest[] }> {
  const image = tartImage(sample(300_000, seed).bytes, { chunkSizes: [100_000] });
  const { key } = await putTartImage(store, name, image);
  return { key, digests: [image.manifest.digest, ...image.blobs.keys()] };
}

async function begin(store: Store, key: Digest): Promise<void> {
  const content: DiskContent & { bytes: Buffer } = { ...sample(100_000, 9), offset: 0 };
  await using disk = await openPartialDisk(store, key, PARTIAL_BYTES);
  await using window = await disk.window(content);
  await window.write(0, content.bytes);
  await window.commit(content);
}

const keysOf = (store: Store): Promise<Digest[]> => Array.fromAsync(store.disks.list(), ({ key }) => key);

describe("collecting disks", () => {
  it("keeps those of images, removes the others with what lies beside them, and only tells of it in a dry run", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const kept = await putMachine(store, "example.org/machine:1", 1);
    const stray = digestOf("nobody's disk");
    await putDisk(store, stray, sample(50_000, 7).bytes);
    const beside = (key: Digest): string => `${store.disks.pathOf(key)}.index`;
    for (const key of [kept.key, stray, digestOf("long gone")]) {
      await mkdir(beside(key));
      await writeFile(join(beside(key), "table"), "derived");
    }
    const told = await store.collectGarbage({ dryRun: true });
    expect(told.disks).toMatchObject({ count: 1 });
    expect((await keysOf(store)).sort()).toEqual([kept.key, stray].sort());
    const done = await store.collectGarbage();
    expect(done.disks).toEqual(told.disks);
    expect(done.disks.bytes).toBeGreaterThan(50_000);
    expect(await keysOf(store)).toEqual([kept.key]);
    const hex = kept.key.slice("sha256:".length);
    expect((await readdir(join(dir.path, "disks/sha256"))).sort()).toEqual([hex, `${hex}.index`]);
    expect(await store.collectGarbage()).toMatchObject({ disks: { count: 0 }, records: 0 });
  });

  it("keeps what is leased, or worked on", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const [leased, busy] = [digestOf("leased"), digestOf("busy")];
    for (const key of [leased, busy]) await putDisk(store, key, sample(10_000).bytes);
    await using lease = await store.leases.create();
    await lease.add(leased);
    {
      using _lock = await store.locks.disk(busy);
      expect(await store.collectGarbage({ partialsOlderThanMs: 0 })).toMatchObject({ disks: { count: 0 } });
    }
    await lease.release();
    expect(await store.collectGarbage()).toMatchObject({ disks: { count: 2 } });
  });

  it("removes partial disks by their age, and at once what the dead left", async () => {
    await using dir = await tempDir();
    let now = Date.now();
    await using store = await openStore(dir.path, { clock: () => now });
    const [partial, done] = [digestOf("partial"), digestOf("done")];
    await begin(store, partial);
    await putDisk(store, done, sample(10_000).bytes);
    const folder = join(dir.path, "disks/partial");
    for (const name of [fileKey(done), `${fileKey(digestOf("thrown away"))}.trash`, "something else"]) {
      await mkdir(join(folder, name));
    }
    await mkdir(join(folder, "staged-by-the-dead"));
    await writeFile(join(folder, "staged-by-the-dead", "disk"), "half a disk");
    await using staged = await store.disks.stage();
    await writeFile(staged.path, "on its way");
    const lease = await store.leases.create();
    await lease.add(done);

    expect(await store.collectGarbage()).toMatchObject({ partialDisks: { count: 3 } });
    const left = (await readdir(folder)).sort();
    expect(left).toEqual([fileKey(partial), "something else", basename(dirname(staged.path))].sort());
    {
      await using _open = await openPartialDisk(store, partial, PARTIAL_BYTES);
      now += WEEK_MS + 60_000;
      expect(await store.collectGarbage()).toMatchObject({ partialDisks: { count: 0 } });
    }
    expect(await store.collectGarbage()).toMatchObject({ partialDisks: { count: 1 } });
    expect(await Array.fromAsync(store.disks.partials())).toEqual([]);
  });

  it("forgets rows that have no disk", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path, {
      onStep: (step) => {
        if (step === "unlinked") throw new Error("the power went");
      },
    });
    const key = digestOf("a disk");
    const bytes = sample(10_000).bytes;
    await putDisk(store, key, bytes);
    await expect(store.disks.remove(key)).rejects.toThrow("the power went");
    expect((await store.disks.findContents([digestOf(bytes)])).size).toBe(0);
    expect(await store.collectGarbage({ dryRun: true })).toMatchObject({ records: 1 });
    expect(await store.collectGarbage()).toMatchObject({ records: 1 });
    expect(await store.collectGarbage()).toMatchObject({ records: 0 });
  });

  it("keeps all disks while a machine's manifest is of a kind that another version may know", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { manifest } = tartImage(sample(1000).bytes);
    const unknown = { mediaType: "application/vnd.cirruslabs.tart.disk.v9", digest: digestOf("x"), size: 1 };
    const document = JSON.parse(manifest.bytes.toString()) as { layers: object[] };
    const bytes = Buffer.from(JSON.stringify({ ...document, layers: [...document.layers, unknown] }));
    const descriptor = { digest: digestOf(bytes), mediaType: manifest.mediaType, size: bytes.length };
    await store.content.writeBytes(descriptor.digest, bytes);
    await store.images.put({ name: "example.org/of-tomorrow:1", descriptor, manifest: descriptor });
    const [key, partial] = [digestOf("whose?"), digestOf("whose too?")];
    await putDisk(store, key, sample(10_000).bytes);
    await begin(store, partial);
    const options = { partialsOlderThanMs: 0 };
    const nothing = { disks: { count: 0 }, partialDisks: { count: 0 }, broken: [] };
    expect(await store.collectGarbage({ ...options, dryRun: true })).toMatchObject(nothing);
    expect(await store.collectGarbage(options)).toMatchObject(nothing);
    await store.images.delete("example.org/of-tomorrow:1");
    expect(await store.collectGarbage(options)).toMatchObject({ disks: { count: 1 }, partialDisks: { count: 1 } });
  });

  it("removes nothing while a manifest cannot be read", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { key, digests } = await putMachine(store, "example.org/machine:1", 1);
    const path = store.content.pathOf(digests[0]!);
    await chmod(path, 0o600);
    await writeFile(path, "{}");
    expect(await store.collectGarbage({ partialsOlderThanMs: 0 })).toMatchObject({ disks: { count: 0 } });
    expect(await keysOf(store)).toEqual([key]);
  });
});

describe("removing an image of a machine", () => {
  it("takes its disks along, unless another image has the same", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { key, digests } = await putMachine(store, "example.org/machine:1", 1);
    await putMachine(store, "example.org/machine:2", 1);
    await store.images.delete("example.org/machine:1");
    expect(await store.removeUnreferenced(digests)).toMatchObject({ deleted: [], disks: [] });
    await store.images.delete("example.org/machine:2");
    const removed = await store.removeUnreferenced(digests);
    expect(removed.disks).toEqual([key]);
    expect(removed.freedBytes).toBeGreaterThan(300_000);
    expect(await keysOf(store)).toEqual([]);
    expect(await store.disks.contentsOf(key)).toEqual([]);
  });
});
