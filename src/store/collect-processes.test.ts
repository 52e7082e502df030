import { writeFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { storeFaults } from "../../test/e2e/store-health.ts";
import { putImage } from "../../test/kit/store/put-image.ts";
import { runStoreProcess, startStoreProcess } from "../../test/kit/store/store-process.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { openStore } from "./store.ts";

describe("a process that is killed while it collects", () => {
  it.each(["marked", "unlinked", "trashed", "removed", "swept", "tidied"])(
    "leaves a sound store, and the next collection finishes: %s",
    async (dieAt) => {
      await using dir = await tempDir();
      const root = join(dir.path, "store");
      let kept: readonly string[];
      {
        await using store = await openStore(root);
        const image = await putImage(store, "a.example/kept:1", { text: "kept", index: true });
        kept = image.digests;
        for (const text of ["one", "two"]) {
          const { layer } = await putImage(store, "a.example/gone:1", { text });
          await store.layers.put({
            digest: layer.digest,
            diffId: digestOf(text),
            mediaType: "x",
            size: 1,
            uncompressedSize: 1,
            entries: 1,
            verifiedAt: new Date(),
          });
        }
        await store.images.delete("a.example/gone:1");
        const ingest = await store.content.ingest({ digest: digestOf("partial"), size: 100 });
        if (!("commit" in ingest)) throw new Error("it cannot be there");
        await ingest.write(0, Buffer.alloc(50));
        await ingest[Symbol.asyncDispose]();
      }
      await using child = startStoreProcess({ root, act: "collect", dieAt });
      expect(await child.ended()).toMatchObject({ signal: "SIGKILL" });
      expect(await storeFaults(root)).toEqual([]);

      await using store = await openStore(root);
      await store.collectGarbage({ partialsOlderThanMs: 0 });
      expect((await Array.fromAsync(store.content.digests())).sort()).toEqual([...kept].sort());
      expect(await Array.fromAsync(store.layers.list())).toEqual([]);
      expect(await readdir(join(root, "ingest"))).toEqual([]);
      expect((await readdir(join(root, "locks"))).sort()).toEqual(["index.lock", "store.lock"]);
      expect(await storeFaults(root)).toEqual([]);
    },
  );
});

describe("processes that put, take out and collect at the same time", () => {
  it("leave every image whole, and nothing that none needs", async () => {
    await using dir = await tempDir();
    const root = join(dir.path, "store");
    const collectors = [1, 2].map(() => startStoreProcess({ root, act: "collect", rounds: 1e6 }));
    await Promise.all(collectors.map((child) => child.said("collected:0")));
    const putters = [1, 2].map((seed) => startStoreProcess({ root, act: "churn", seed, rounds: 60 }));
    await Promise.all(putters.map((child) => child.ended()));
    // In the midst of something, as it happens.
    await Promise.all(collectors.map((child) => child.kill()));
    expect(await storeFaults(root)).toEqual([]);
    await using store = await openStore(root);
    await store.collectGarbage({ partialsOlderThanMs: 0 });
    expect(await storeFaults(root)).toEqual([]);
    expect((await store.images.list()).length).toBeGreaterThan(0);
    expect(await store.leases.ended(0)).toBe(0);
  });

  it("keep what an image got that was put after the collection had marked", async () => {
    await using dir = await tempDir();
    const image = { root: dir.path, act: "put", name: "a.example/x:1" } as const;
    runStoreProcess(image);
    let marked = 0;
    await using store = await openStore(dir.path, {
      onStep(step) {
        if (step === "marked" && marked++ === 0) runStoreProcess(image);
      },
    });
    await store.images.delete("a.example/x:1");
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 0 } });
    expect(await storeFaults(dir.path)).toEqual([]);
    await store.images.delete("a.example/x:1");
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 4 } });
  });

  it("see what a tool without locks adds to index.json meanwhile", async () => {
    await using dir = await tempDir();
    const index = join(dir.path, "index.json");
    let theirs: unknown;
    await using store = await openStore(dir.path, {
      onStep(step) {
        if (step === "marked") writeFileSync(index, JSON.stringify({ schemaVersion: 2, manifests: [theirs] }));
      },
    });
    const { entry } = await putImage(store, "a.example/x:1");
    theirs = entry.descriptor;
    await store.images.delete("a.example/x:1");
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 0 } });
  });
});

describe("reading an image", () => {
  it("is seen by another process that collects, until it ends, also when its name is gone", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { digests, entry } = await putImage(store, "a.example/x:1", { index: true });
    {
      using _first = store.locks.use(entry.descriptor.digest);
      using _second = store.locks.use(entry.descriptor.digest);
      await store.images.delete("a.example/x:1");
      await using child = startStoreProcess({ root: dir.path, act: "collect" });
      expect((await child.ended()).words).toEqual(["collected:0"]);
    }
    expect(await readdir(join(dir.path, "locks"))).toEqual(["index.lock", "store.lock"]);
    await using child = startStoreProcess({ root: dir.path, act: "collect" });
    expect((await child.ended()).words).toEqual([`collected:${digests.length}`]);
  });

  it("goes on where no lock can be made", async () => {
    await using dir = await tempDir();
    await writeFile(join(dir.path, "locks"), "");
    await using store = await openStore(join(dir.path, "none"), { readOnly: true });
    using _use = store.locks.use(digestOf("x"));
    expect(store.locks.inUse()).toEqual([]);
    expect(await readFile(join(dir.path, "locks"), "utf8")).toBe("");
  });
});
