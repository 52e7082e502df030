import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startStoreProcess } from "../../test/kit/store/store-process.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { openStore } from "./store.ts";

const DAY = 24 * 60 * 60 * 1000;

describe("the lease of a process that was killed", () => {
  it("keeps what is there for whoever tries again, and ends when all that is not in use is cleaned up", async () => {
    await using dir = await tempDir();
    const root = join(dir.path, "store");
    await using child = startStoreProcess({ root, act: "put", name: "a.example/x:1", dieAt: "removed" });
    expect(await child.ended()).toMatchObject({ signal: "SIGKILL" });
    const locks = async (): Promise<string[]> =>
      (await readdir(join(root, "locks"))).filter((name) => name.startsWith("lease-"));
    await using store = await openStore(root);
    expect(await locks()).toHaveLength(1);

    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 0 }, leases: 0 });
    const all = { partialsOlderThanMs: 0 };
    expect(await store.collectGarbage({ ...all, dryRun: true })).toMatchObject({ blobs: { count: 1 }, leases: 1 });
    expect(await store.collectGarbage(all)).toMatchObject({ blobs: { count: 1 }, leases: 1 });
    expect(await Array.fromAsync(store.content.list())).toEqual([]);
    expect(await locks()).toEqual([]);
  });

  it("ends by itself after a day", async () => {
    await using dir = await tempDir();
    await using child = startStoreProcess({ root: dir.path, act: "put", name: "a.example/x:1", dieAt: "removed" });
    expect(await child.ended()).toMatchObject({ signal: "SIGKILL" });
    await using store = await openStore(dir.path, { clock: () => Date.now() + DAY });
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 1 }, leases: 1 });
  });
});

describe("the lease of a process that lives", () => {
  it("is kept, however thoroughly others clean up", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await using other = await openStore(dir.path);
    await using lease = await store.leases.create();
    const bytes = Buffer.from("a blob");
    await lease.add(digestOf(bytes));
    await store.content.writeBytes(digestOf(bytes), bytes);
    expect(await other.collectGarbage({ partialsOlderThanMs: 0 })).toMatchObject({ blobs: { count: 0 }, leases: 0 });
    await lease.release();
    expect(await other.collectGarbage({ partialsOlderThanMs: 0 })).toMatchObject({ blobs: { count: 1 } });
    expect(await readdir(join(dir.path, "locks"))).not.toContainEqual(expect.stringMatching(/^lease-/));
  });
});
