/** What repositories name stays, what they let go of goes, and the rows say what was put. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sample } from "../../test/kit/store/sample.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import type { RepositoryKey } from "./repository-types.ts";
import { openStore, type Store, type StoreOptions } from "./store.ts";

const APP: RepositoryKey = { origin: "hosted", name: "team/app" };
const CACHED: RepositoryKey = { origin: "mirror", name: "a.example/team/app" };

interface Opened extends AsyncDisposable {
  readonly dir: TempDir;
  readonly store: Store;
}

async function opened(options: StoreOptions = {}): Promise<Opened> {
  const dir = await tempDir();
  const store = await openStore(dir.path, { sync: false, ...options });
  return {
    dir,
    store,
    async [Symbol.asyncDispose]() {
      await store.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

async function put(store: Store, text: string): Promise<Digest> {
  const bytes = Buffer.from(text);
  return (await store.content.writeBytes(digestOf(bytes), bytes)).digest;
}

function manifestOf(text: string): { digest: Digest; mediaType: string; bytes: Uint8Array } {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, text }));
  return { digest: digestOf(bytes), mediaType: MEDIA_TYPES.ociManifest, bytes };
}

describe("repositories", () => {
  it("know what was put into them, each what was put into it", async () => {
    await using all = await opened({ clock: () => 5000 });
    const { repositories } = all.store;
    expect(await repositories.has(APP)).toBe(false);
    expect(await repositories.tags(APP)).toBeUndefined();
    const blob = await put(all.store, "layer");
    expect(await repositories.addBlob(APP, blob)).toBe(true);
    expect(await repositories.addBlob(APP, digestOf("nobody has it"))).toBe(false);
    const manifest = manifestOf("one");
    expect(await repositories.putManifest(APP, manifest, { tags: ["b", "a", "B"] })).toBe(true);
    expect(await repositories.manifest(APP, manifest.digest)).toEqual({
      digest: manifest.digest,
      size: manifest.bytes.length,
      mediaType: manifest.mediaType,
      lastUsedAt: new Date(5000),
    });
    expect(await repositories.blob(APP, blob)).toMatchObject({ digest: blob, size: 5 });
    expect(await repositories.blob(CACHED, blob)).toBeUndefined();
    expect(await repositories.findBlob("hosted", blob)).toMatchObject({ size: 5 });
    expect(await repositories.findBlob("mirror", blob)).toBeUndefined();
    expect((await repositories.tags(APP))?.map(({ tag }) => tag)).toEqual(["B", "a", "b"]);
    expect((await repositories.tags(APP, { after: "B", limit: 1 }))?.map(({ tag }) => tag)).toEqual(["a"]);
    expect(await repositories.tag(APP, "a")).toEqual({ tag: "a", digest: manifest.digest, updatedAt: new Date(5000) });
    expect(await repositories.list("hosted")).toEqual(["team/app"]);
    expect(await repositories.list("mirror")).toEqual([]);
    expect(await repositories.usage()).toEqual({ repositories: 1, blobs: 2, bytes: 5 + manifest.bytes.length });
  });

  it("put a manifest only while a tag names what the caller saw", async () => {
    await using all = await opened();
    const { repositories } = all.store;
    const [one, two] = [manifestOf("one"), manifestOf("two")];
    const onlyOver = (wanted: Digest | undefined) => ({
      tags: ["t"],
      when: { reference: "t", is: (now: Digest | undefined) => now === wanted },
    });
    expect(await repositories.putManifest(APP, one, onlyOver(undefined))).toBe(true);
    expect(await repositories.putManifest(APP, two, onlyOver(undefined))).toBe(false);
    expect(await repositories.manifest(APP, two.digest)).toBeUndefined();
    expect(await repositories.putManifest(APP, two, onlyOver(one.digest))).toBe(true);
    expect((await repositories.tag(APP, "t"))?.digest).toBe(two.digest);
  });

  it("take a manifest out with its tags and its entry among the referrers", async () => {
    await using all = await opened();
    const { repositories } = all.store;
    const [subject, manifest] = [digestOf("subject"), manifestOf("signature")];
    const descriptor = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
    await repositories.putManifest(APP, manifest, { tags: ["x", "y"], referrer: { subject, descriptor } });
    expect(await repositories.referrers(APP, subject)).toEqual([descriptor]);
    expect(await repositories.deleteTag(APP, "x")).toBe(true);
    expect(await repositories.deleteTag(APP, "x")).toBe(false);
    expect(await repositories.deleteManifest(APP, manifest.digest)).toBe(true);
    expect(await repositories.deleteManifest(APP, manifest.digest)).toBe(false);
    expect(await repositories.referrers(APP, subject)).toEqual([]);
    expect(await repositories.tags(APP)).toEqual([]);
    await repositories.setReferrers(CACHED, subject, [descriptor]);
    await repositories.setReferrers(CACHED, subject, []);
    expect(await repositories.referrers(CACHED, subject)).toEqual([]);
  });
});

describe("garbage collection", () => {
  it("keeps what repositories name, and frees what they let go of", async () => {
    await using all = await opened();
    const { content, repositories } = all.store;
    const [kept, cached, nobodys] = [await put(all.store, "a"), await put(all.store, "b"), await put(all.store, "c")];
    const manifest = manifestOf("m");
    await repositories.addBlob(APP, kept);
    await repositories.addBlob(CACHED, cached);
    await repositories.putManifest(APP, manifest);
    expect((await all.store.collectGarbage({ dryRun: true })).blobs).toEqual({ count: 1, bytes: 1 });
    expect((await all.store.collectGarbage()).blobs).toEqual({ count: 1, bytes: 1 });
    expect(await content.stat(nobodys)).toBeUndefined();
    const everything = [kept, cached, manifest.digest];
    // Also by who knows nothing of repositories, as a pull that keeps no blobs.
    for (const digest of everything) expect(await content.remove(digest)).toBe(false);
    expect((await all.store.removeUnreferenced(everything)).deleted).toEqual([]);

    await repositories.deleteBlob(APP, kept);
    await repositories.deleteManifest(APP, manifest.digest);
    expect([...(await all.store.removeUnreferenced(everything)).deleted].sort()).toEqual(
      [kept, manifest.digest].sort(),
    );
    await repositories.forget("mirror", cached);
    expect((await all.store.collectGarbage()).blobs.count).toBe(1);
  });

  it("sees what comes in while it marks and sweeps", async () => {
    let between: () => Promise<unknown> = async () => {};
    const late: Promise<unknown>[] = [];
    await using all = await opened({ onStep: (step) => step === "marked" && late.push(between()) });
    const blob = await put(all.store, "late");
    between = () => all.store.repositories.addBlob(APP, blob);
    const { blobs } = await all.store.collectGarbage();
    const [recorded] = await Promise.all(late);
    // Whoever comes first: what is recorded is there.
    expect([recorded, blobs.count]).toEqual(recorded === true ? [true, 0] : [false, 1]);
    expect((await all.store.content.stat(blob)) !== undefined).toBe(recorded);
  });

  it("lets go of what was not asked for the longest", async () => {
    let now = 0;
    await using all = await opened({ clock: () => now });
    const { repositories } = all.store;
    const digests: Digest[] = [];
    for (const text of ["first", "secnd", "third"]) {
      now += 1000;
      const digest = await put(all.store, text);
      digests.push(digest);
      await repositories.addBlob(CACHED, digest);
    }
    await repositories.addBlob(APP, digests[1]!);
    now += 1000;
    repositories.noteUse(CACHED, digests[0]!);
    expect(await repositories.evict("mirror", 15)).toEqual([]);
    expect(await repositories.evict("mirror", 14)).toEqual([digests[1]]);
    expect(await repositories.usage("mirror")).toEqual({ repositories: 1, blobs: 2, bytes: 10 });
    expect(await repositories.evict("mirror", 0)).toEqual([digests[2], digests[0]]);
    expect(await repositories.list("mirror")).toEqual([]);
    expect((await all.store.removeUnreferenced(digests)).deleted).toHaveLength(2);
    expect(await repositories.blob(APP, digests[1]!)).toBeDefined();
  });
});

describe("adopting a file", () => {
  it("makes it a blob, in the place of one that is damaged, before anybody may remove it", async () => {
    await using all = await opened({ sync: true });
    const { content, repositories } = all.store;
    const { bytes, digest } = sample(5000);
    for (const round of ["absent", "damaged"]) {
      const file = join(all.dir.path, "upload");
      await writeFile(file, bytes);
      const info = await content.adopt(digest, file, async ({ size }) => {
        expect(await content.remove(digest)).toBe(false);
        await repositories.recordBlob(APP, digest, size);
      });
      expect([round, info.size]).toEqual([round, 5000]);
      expect(Buffer.from(await content.readBytes(digest, 5000)).equals(bytes)).toBe(true);
      await rm(info.path);
      await writeFile(info.path, "other bytes");
    }
  });
});
