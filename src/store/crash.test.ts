import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sample } from "../../test/kit/store/sample.ts";
import { startStoreProcess } from "../../test/kit/store/store-process.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { openStore } from "./store.ts";

const SIZE = 3_000_000;
const SEED = 5;
const { bytes, digest, size } = sample(SIZE, SEED);

describe("a process that is killed while it ends an ingest", () => {
  it.each([
    { dieAt: "synced", resumed: 0, present: false },
    { dieAt: "renamed", present: true },
    { dieAt: "names-synced", present: true },
    { dieAt: "removed", present: true },
  ])("leaves a store that the next one finishes: commit, $dieAt", async ({ dieAt, present }) => {
    await using dir = await tempDir();
    const root = join(dir.path, "store");
    await using child = startStoreProcess({ root, act: "ingest", size: SIZE, seed: SEED, dieAt });
    expect(await child.ended()).toMatchObject({ signal: "SIGKILL" });

    await using store = await openStore(root);
    expect(await store.content.stat(digest)).toEqual(
      present ? { digest, size, path: join(root, "blobs/sha256", digest.slice(7)) } : undefined,
    );
    // Opening swept what the dead process left beside a blob that is there.
    expect(await readdir(join(root, "ingest"))).toEqual(present ? [] : [expect.stringMatching(/^sha256-/)]);
    const again = await store.content.ingest({ digest, size });
    expect("commit" in again).toBe(!present);
    if ("commit" in again) {
      await again.write(0, bytes);
      await again.commit({ digest, size });
      await again[Symbol.asyncDispose]();
    }
    expect(await readFile(join(root, "blobs/sha256", digest.slice(7)))).toEqual(bytes);
    expect(await readdir(join(root, "ingest"))).toEqual([]);
    expect((await readdir(join(root, "locks"))).filter((name) => name.startsWith("sha256"))).toEqual([]);
  });

  it.each(["trashed", "removed"])("leaves nothing partial under the digest: discard, %s", async (dieAt) => {
    await using dir = await tempDir();
    await using child = startStoreProcess({ root: dir.path, act: "discard", size: SIZE, seed: SEED, dieAt });
    expect(await child.ended()).toMatchObject({ signal: "SIGKILL" });
    await using store = await openStore(dir.path);
    expect(await readdir(join(dir.path, "ingest"))).toEqual([]);
    expect(await store.content.partial(digest)).toEqual([]);
    const ingest = await store.content.ingest({ digest, size });
    if (!("commit" in ingest)) throw new Error("it cannot be there");
    await using _ = ingest;
    expect(ingest.done).toEqual([]);
  });
});

describe("two processes that want one blob", () => {
  it("take turns: the second waits and finds it there", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const first = await store.content.ingest({ digest, size });
    if (!("commit" in first)) throw new Error("it cannot be there");
    await using _ = first;
    await using second = startStoreProcess({ root: dir.path, act: "ingest", size: SIZE, seed: SEED });
    await second.said("waiting");
    await first.write(0, bytes);
    await first.commit({ digest, size });
    expect((await second.ended()).words).toEqual(["waiting", "present"]);
  });

  it("inherit: when the first is killed, the second goes on where it stopped", async () => {
    await using dir = await tempDir();
    const job = { root: dir.path, size: SIZE, seed: SEED };
    await using first = startStoreProcess({ ...job, act: "hold", writeUpTo: 2_000_000 });
    await first.said("holding");
    await using second = startStoreProcess({ ...job, act: "ingest" });
    await second.said("waiting");
    await first.kill();
    expect((await second.ended()).words).toEqual(["waiting", "resumed:2000000", "done"]);
    await using store = await openStore(dir.path);
    expect(Buffer.from(await store.content.readBytes(digest, SIZE))).toEqual(bytes);
  });

  it("may be told not to wait", async () => {
    await using dir = await tempDir();
    await using first = startStoreProcess({ root: dir.path, size: SIZE, seed: SEED, act: "hold" });
    await first.said("holding");
    await using store = await openStore(dir.path);
    await expect(store.content.ingest({ digest, size }, { wait: false })).rejects.toMatchObject({ code: "STORE_BUSY" });
    expect(await store.content.remove(digest)).toBe(false);
    expect(await store.content.removeIngest(digest)).toBe(false);
    expect(await store.content.partial(digest)).toEqual([{ start: 0, end: SIZE }]);
    const signal = AbortSignal.abort();
    await expect(store.content.ingest({ digest, size }, { signal })).rejects.toMatchObject({ code: "INTERRUPTED" });
  });
});

describe("many processes that make one store at the same moment", () => {
  it("all succeed, and all they recorded is there", async () => {
    await using dir = await tempDir();
    const root = join(dir.path, "deep/store");
    const names = Array.from({ length: 6 }, (_, number) => `example.org/image:${number}`);
    const children = names.map((name) => startStoreProcess({ root, act: "open", name }));
    expect((await Promise.all(children.map((child) => child.ended()))).map(({ words }) => words)).toEqual(
      names.map(() => ["opened"]),
    );
    await using store = await openStore(root);
    expect((await store.images.list()).map(({ name }) => name)).toEqual(names);
    const index = JSON.parse(await readFile(join(root, "index.json"), "utf8")) as { manifests: unknown[] };
    expect(index.manifests).toHaveLength(names.length * 2);
  });
});
