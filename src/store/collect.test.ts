import { chmod, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openIngest } from "../../test/kit/store/open-ingest.ts";
import { putImage } from "../../test/kit/store/put-image.ts";
import { fillStore, NOW, type ImagePlan, type PartialPlan } from "../../test/kit/store/random-store.ts";
import { sample } from "../../test/kit/store/sample.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { openStore, type Store } from "./store.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

async function present(store: Store): Promise<Digest[]> {
  return (await Array.fromAsync(store.content.digests())).sort();
}

async function partials(store: Store): Promise<string[]> {
  return (await readdir(join(store.root, "ingest"))).sort();
}

const folder = (digest: Digest): string => digest.replace(":", "-");

/** Every file with its content, so that any change shows; the database by what it says. */
async function pictureOf(store: Store): Promise<unknown> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(store.root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !entry.name.startsWith("meta.db")) files[path] = digestOf(await readFile(path));
  }
  return { files, records: await Array.fromAsync(store.layers.list()), images: await store.images.list() };
}

const imagePlan: fc.Arbitrary<ImagePlan> = fc.record({
  layers: fc.array(fc.nat(6), { maxLength: 4 }),
  config: fc.nat(4),
  index: fc.boolean(),
  fate: fc.constantFrom("kept", "gone", "leased", "expired", "foreign", "in-use"),
});

const partialPlan: fc.Arbitrary<PartialPlan> = fc.record({
  seed: fc.nat(1000),
  ageMs: fc.constantFrom(0, 7 * DAY_MS - 1, 7 * DAY_MS, 30 * DAY_MS),
  fate: fc.constantFrom("nobody", "leased", "needed", "locked"),
});

describe("collecting garbage", () => {
  it("removes exactly what nothing reaches, and a dry run tells exactly that and changes nothing", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(imagePlan, { maxLength: 6 }),
        fc.uniqueArray(partialPlan, { maxLength: 4, selector: ({ seed }) => seed }),
        async (images, partialPlans) => {
          await using dir = await tempDir();
          await using store = await openStore(dir.path, { sync: false, clock: () => NOW });
          const made = await fillStore(store, images, partialPlans);
          using _work = made.work;
          const before = await pictureOf(store);
          const told = await store.collectGarbage({ dryRun: true });
          expect(await pictureOf(store)).toEqual(before);

          const done = await store.collectGarbage();
          expect(await present(store)).toEqual([...made.stay].sort());
          expect(await partials(store)).toEqual(
            [...made.partialsStay]
              .filter((digest) => partialPlans.some(({ seed }) => digestOf(`partial ${seed}`) === digest))
              .map(folder)
              .sort(),
          );
          expect(done).toMatchObject({
            blobs: { count: made.go.size },
            partials: { count: made.partialsGo.size },
            records: made.recordsGo,
            broken: [],
          });
          expect(told).toEqual(done);
          expect(await store.collectGarbage()).toMatchObject({ freedBytes: 0, records: 0, leases: 0, locks: 0 });
        },
      ),
      { numRuns: 25 },
    );
  });

  it("keeps what a running transfer has, however old its clock says it is", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await using busy = await openIngest(store, sample(1000));
    await busy.write(0, sample(1000).bytes.subarray(0, 500));
    const done = await store.collectGarbage({ partialsOlderThanMs: 0 });
    expect(done).toMatchObject({ partials: { count: 0 }, locks: 0 });
    await busy.write(500, sample(1000).bytes.subarray(500));
    await busy.commit({ digest: busy.digest, size: 1000 });
    expect((await store.collectGarbage()).blobs.count).toBe(1);
  });

  it("takes partial data of any age when it is told to, but not what is leased", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const [one, two] = [sample(1000, 1), sample(1000, 2)];
    for (const blob of [one, two]) {
      await using ingest = await openIngest(store, blob);
      await ingest.write(0, blob.bytes.subarray(0, 500));
    }
    await using lease = await store.leases.create();
    await lease.add(two.digest);
    expect((await store.collectGarbage()).partials.count).toBe(0);
    const future = new Date(Date.now() + DAY_MS);
    await utimes(join(dir.path, "ingest", folder(one.digest), "data"), future, future);
    expect(await store.collectGarbage({ partialsOlderThanMs: 0 })).toMatchObject({ partials: { count: 1 } });
    expect(await partials(store)).toEqual([folder(two.digest)]);
  });

  it("keeps for a week what an operation left that was cut off, whole blobs too; trying again or giving up ends that", async () => {
    await using dir = await tempDir();
    let now = NOW;
    await using store = await openStore(dir.path, { clock: () => now });
    const leave = async (blob: { digest: Digest; bytes: Uint8Array }): Promise<void> => {
      const lease = await store.leases.create();
      await lease.add(blob.digest);
      await store.content.writeBytes(blob.digest, blob.bytes);
      await lease.leave("a.example/x:1");
      await lease.release();
    };
    await leave(sample(10, 1));
    now += 6 * DAY_MS;
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 0 }, leases: 0 });
    // A later try takes the place of the first.
    await leave(sample(10, 2));
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 1 } });
    expect(await present(store)).toEqual([sample(10, 2).digest]);
    now += HOUR_MS;
    expect(await store.collectGarbage({ partialsOlderThanMs: DAY_MS })).toMatchObject({ blobs: { count: 0 } });
    const early = { partialsOlderThanMs: HOUR_MS };
    const told = await store.collectGarbage({ ...early, dryRun: true });
    expect(told).toMatchObject({ blobs: { count: 1, bytes: 10 }, leases: 1 });
    expect(await store.collectGarbage(early)).toEqual(told);

    await leave(sample(10, 3));
    await store.leases.finish("a.example/x:1", "a.example/never:1");
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 1 } });
    await leave(sample(10, 4));
    now += 7 * DAY_MS;
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 1 }, leases: 1 });
  });

  it("tidies up what dead processes left: locks, temporary files, trash, folders beside whole blobs", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const { layer } = await putImage(store, "a.example/x:1");
    for (const name of [folder(layer.digest), `${folder(digestOf("y"))}.trash`]) {
      await mkdir(join(dir.path, "ingest", name));
      await writeFile(join(dir.path, "ingest", name, "journal"), "x".repeat(5000));
    }
    await writeFile(join(dir.path, "locks", `${folder(digestOf("dead"))}.lock`), "");
    await writeFile(join(dir.path, "locks", `use-${folder(digestOf("z"))}.lock`), "");
    await writeFile(join(dir.path, "locks", "somebody's"), "");
    await writeFile(join(dir.path, ".index.json.new"), "{");
    await writeFile(join(dir.path, ".oci-layout.new"), "{");
    using _held = await store.locks.digest(digestOf("held"));
    const done = await store.collectGarbage();
    expect(done).toMatchObject({ partials: { count: 2 }, locks: 2, temporary: 2, blobs: { count: 0 } });
    expect(await partials(store)).toEqual([]);
    expect((await readdir(join(dir.path, "locks"))).sort()).toEqual(
      [`${folder(digestOf("held"))}.lock`, "index.lock", "somebody's", "store.lock"].sort(),
    );
    expect(await store.collectGarbage()).toMatchObject({ locks: 0, temporary: 0, freedBytes: 0 });
  });

  it("removes no blob while an image's documents are damaged or missing, and says which", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const good = await putImage(store, "a.example/good:1", { text: "good" });
    const bad = await putImage(store, "a.example/bad:1", { text: "bad", index: true });
    const manifest = bad.entry.manifest.digest;
    const { path } = (await store.content.stat(manifest))!;
    const bytes = await readFile(path);
    await store.images.delete("a.example/good:1");
    for (const spoil of [() => chmod(path, 0o600).then(() => writeFile(path, "{}")), () => rm(path)]) {
      await spoil();
      const done = await store.collectGarbage();
      expect(done).toMatchObject({ blobs: { count: 0 }, broken: [{ image: "a.example/bad:1" }] });
      expect(await present(store)).toEqual(expect.arrayContaining([...good.digests, bad.layer.digest]));
    }
    await writeFile(path, bytes);
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: good.digests.length }, broken: [] });
    await writeFile(join(dir.path, "index.json"), "");
    expect(await store.collectGarbage()).toMatchObject({ broken: [{ image: "index.json" }] });
  });

  it("follows a manifest that another image calls a layer, and indexes however deep", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const inner = await putImage(store, "a.example/inner:1");
    const put = async (mediaType: string, value: object) => {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value }));
      await store.content.writeBytes(digestOf(bytes), bytes);
      return { mediaType, digest: digestOf(bytes), size: bytes.length };
    };
    const disguised = { ...inner.entry.manifest, mediaType: MEDIA_TYPES.ociLayer };
    // Its name comes first, so it is marked first.
    const liar = await put(MEDIA_TYPES.ociManifest, { config: inner.config, layers: [disguised] });
    await store.images.put({ name: "a.example/a-liar:1", descriptor: liar });
    let root = inner.entry.manifest;
    for (let depth = 0; depth < 30; depth++) root = await put(MEDIA_TYPES.ociIndex, { manifests: [root] });
    await store.images.put({ name: "a.example/deep:1", descriptor: root });
    await store.images.delete("a.example/inner:1");
    expect(await store.collectGarbage()).toMatchObject({ blobs: { count: 0 }, broken: [] });
  });

  it("leaves alone what is not the store's", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await writeFile(join(dir.path, "blobs/sha256/README"), "mine");
    await mkdir(join(dir.path, "blobs/sha256", "a".repeat(64)));
    await mkdir(join(dir.path, "ingest/mine"));
    expect(await store.collectGarbage({ partialsOlderThanMs: 0 })).toMatchObject({ freedBytes: 0 });
    for (const name of ["blobs/sha256/README", `blobs/sha256/${"a".repeat(64)}`, "ingest/mine"]) {
      await stat(join(dir.path, name));
    }
  });

  it("only tells, where it may only read", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    await store.content.writeBytes(digestOf("x"), Buffer.from("x"));
    await using reader = await openStore(dir.path, { readOnly: true });
    expect(await reader.collectGarbage({ dryRun: true })).toMatchObject({ blobs: { count: 1, bytes: 1 } });
    await expect(reader.collectGarbage()).rejects.toMatchObject({ code: "STORE_READ_ONLY" });
    const signal = AbortSignal.abort();
    await expect(store.collectGarbage({ signal })).rejects.toBeDefined();
    expect(await present(store)).toEqual([digestOf("x")]);
    await using nothing = await openStore(join(dir.path, "nothing"), { readOnly: true });
    expect(await nothing.collectGarbage({ dryRun: true })).toMatchObject({ freedBytes: 0 });
  });
});
