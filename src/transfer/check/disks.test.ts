/** Disks of machines are held to their images, and mended with as little as can be. */
import { chmod, mkdir, open, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { DISK_FILE_SYSTEMS } from "../../../test/kit/disk/file-systems.ts";
import { machineBench, type MachineBench } from "../../../test/kit/disk/machine-bench.ts";
import { tartV1 } from "../../../test/kit/disk/other-machines.ts";
import { putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { MIB } from "../../../test/kit/disk/sparse-file.ts";
import { tartImage, type TartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { inProcess } from "../../layer/in-process.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { diskKey } from "../../codec/tart/disk-key.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { RegistryClient } from "../../registry/client.ts";
import { openStore, type Store } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import { checkStore, type CheckOptions, type StoreReport } from "../fsck.ts";
import { listImages, removeImages } from "../images.ts";

const NAME = "example.com/vm:1";
/** Chunks: data, zeros, data, and a last one of data and zeros. */
const DISK = Buffer.concat([
  noise(MIB, "one"),
  Buffer.alloc(MIB),
  noise(MIB, "two"),
  noise(9000, "tail"),
  Buffer.alloc(90_000),
]);
const MADE = tartImage(DISK, { chunkSizes: [MIB] });
const KEY = diskKey(readDiskImage(MADE.manifest)!.disks[0]!);

const errors = ({ findings }: StoreReport): [kind: string, repaired?: boolean][] =>
  findings
    .filter(({ severity }) => severity === "error")
    .map(({ kind, repaired }) => (repaired === undefined ? [kind] : [kind, repaired]));

async function write(path: string, position: number, bytes: Buffer): Promise<void> {
  await chmod(path, 0o644);
  await using file = await open(path, "r+");
  await file.write(bytes, 0, bytes.length, position);
  await file.chmod(0o444);
}

describe("a store with a machine as pulls leave it", () => {
  it("is sound, though the blobs of its chunks are not here", async () => {
    const { bench, image } = await pulled();
    const report = await check(bench);
    expect(report.findings).toEqual([]);
    expect(report.checked).toMatchObject({ images: 1, disks: 1 });
    expect(report.checked.bytes).toBeGreaterThanOrEqual(image.disk.length);
  });

  it("is found wanting where the disk is wrong, and says of which image and where", async () => {
    const context = await transferContext();
    const { path, key } = await putTartImage(context.store, NAME, MADE, { chunks: true });
    await write(path, 2 * MIB + 5, Buffer.from("!"));
    const report = await checkStore(context);
    expect(report.findings).toMatchObject([
      { kind: "disk-damaged", digest: key, image: NAME, path, severity: "error" },
    ]);
    expect(report.findings[0]?.message).toBe(
      `${NAME}: disk.img is not what its image says in bytes ${2 * MIB} to ${3 * MIB}`,
    );
    expect(report.sound).toBe(false);
  });

  it.each([
    ["in a hole", MIB + 70_000],
    ["in the last bytes", DISK.length - 1],
    ["in the hole of a chunk with data", 3 * MIB + 80_000],
  ])("is found wanting where something was written %s", async (_, position) => {
    const context = await transferContext();
    const { path } = await putTartImage(context.store, NAME, MADE, { chunks: true });
    await write(path, position, Buffer.from("!"));
    expect(errors(await checkStore(context))).toEqual([["disk-damaged"]]);
  });

  it("is sound where zeros are written instead of holes", async () => {
    const context = await transferContext();
    const { path } = await putTartImage(context.store, NAME, MADE, { chunks: true });
    await write(path, MIB, Buffer.alloc(200_000));
    expect((await checkStore(context)).sound).toBe(true);
  });

  it("is sound without the disk when all blobs are here, and not when one is missing", async () => {
    const context = await transferContext();
    await putTartImage(context.store, NAME, MADE, { disk: false, chunks: true });
    expect((await checkStore(context)).findings).toEqual([]);
    await context.store.content.remove(chunkOf(MADE, 0));
    expect(errors(await checkStore(context))).toEqual([["disk-missing"]]);
  });

  it("says when a disk can be written, and takes that away", async () => {
    const context = await transferContext();
    const { path } = await putTartImage(context.store, NAME, MADE, { chunks: true });
    await chmod(path, 0o644);
    expect(errors(await checkStore(context))).toEqual([["disk-mode"]]);
    expect(errors(await checkStore(context, { repair: true }))).toEqual([["disk-mode", true]]);
    expect((await checkStore(context)).sound).toBe(true);
  });
});

describe("mending a disk", () => {
  it("fetches only the chunks that are wrong", async () => {
    const { bench, path } = await pulled();
    await write(path, 10, Buffer.from("!"));
    const report = await check(bench, { repair: true });
    expect(errors(report)).toEqual([["disk-damaged", true]]);
    expect(report.sound).toBe(true);
    const fetched = bench.registry.requests.filter(({ path: asked }) => asked.includes("/blobs/"));
    expect(fetched.map(({ path: asked }) => asked.split("/").at(-1))).toEqual([chunkOf(MADE, 0)]);
    expect((await check(bench)).findings).toEqual([]);
  });

  it.each<[string, (path: string) => Promise<void>, string]>([
    ["missing", (path) => rm(path), "disk-missing"],
    ["cut off", (path) => cutOff(path, 2.5 * MIB), "disk-damaged"],
    ["a link", (path) => rm(path).then(() => symlink("/dev/null", path)), "disk-damaged"],
  ])("gets one again that is %s", async (_, spoil, kind) => {
    const { bench, path } = await pulled();
    await spoil(path);
    expect(errors(await check(bench))).toEqual([[kind]]);
    expect(errors(await check(bench, { repair: true }))).toEqual([[kind, true]]);
    expect((await check(bench, { images: [bench.name("1")] })).findings).toEqual([]);
  });

  it("takes what it needs from blobs that are here", async () => {
    const context = await transferContext();
    const { path } = await putTartImage(context.store, NAME, MADE, { chunks: true });
    await write(path, 2 * MIB, Buffer.from("!"));
    expect(errors(await checkStore(context, { repair: true }))).toEqual([["disk-damaged", true]]);
    expect((await checkStore(context)).findings).toEqual([]);
  });

  it("leaves the disk where it is, and says why, when what is wrong of it cannot be had", async () => {
    const { bench, path } = await pulled();
    await write(path, 10, Buffer.from("!"));
    await bench.registry.close();
    const spoilt = digestOf(await readFile(path));
    for (let times = 0; times < 2; times++) {
      const report = await check(bench, { repair: true });
      expect(errors(report)).toEqual([["disk-damaged", false]]);
      expect(report.findings[0]?.message).toContain("; not mended: ");
    }
    expect(digestOf(await readFile(path))).toBe(spoilt);
  });

  it("leaves a disk of which nothing says what it holds, until it can be had again", async () => {
    const bench = await machineBench();
    const made = tartV1(DISK, 500_000);
    await bench.push("1", made);
    await bench.pull("1");
    await loseDatabase(bench);
    expect(await kinds(bench, { repair: false })).toEqual(["database"]);
    const path = await bench.withStore((store) =>
      Promise.resolve(store.disks.pathOf(diskKey(readDiskImage(made.manifest)!.disks[0]!))),
    );
    const name = `${bench.registry.host}/vm:1`;
    await bench.withStore(async (store) => {
      const images = await store.examination.lostImages();
      await store.examination.restoreImages(
        images.map(({ name: own, descriptor }) => ({ name: own, descriptor, manifest: descriptor })),
      );
    });
    const { ino } = await stat(path);
    expect(await kinds(bench, { images: [name] })).toContain("disk-record");
    expect((await stat(path)).ino).toBe(ino);
    expect((await check(bench, { images: [name], repair: true })).sound).toBe(true);
    expect((await stat(path)).ino).not.toBe(ino);
    expect((await check(bench)).findings).toEqual([]);
  });
});

describe.each(DISK_FILE_SYSTEMS.filter(({ shares }) => shares))("mending a disk on $name", ({ missing, ...place }) => {
  it.skipIf(missing !== undefined)("shares what is right with the old one", async () => {
    const dir = await place.make();
    onTestFinished(() => dir[Symbol.asyncDispose]());
    const { bench, path } = await pulled(dir.path);
    await write(path, 10, Buffer.from("!"));
    expect(errors(await check(bench, { repair: true }))).toEqual([["disk-damaged", true]]);
    expect(digestOf(await readFile(path))).toBe(digestOf(DISK));
    expect((await check(bench)).findings).toEqual([]);
  });
});

describe("what is known of disks", () => {
  it("is said again when the rows are lost", async () => {
    const { bench } = await pulled();
    await loseDatabase(bench);
    const lost = await check(bench, { repair: true });
    expect(lost.sound).toBe(true);
    expect([...new Set(errors(lost).map(([kind]) => kind))].toSorted()).toEqual([
      "database",
      "disk-record",
      "layer-record",
    ]);
    expect((await check(bench)).findings).toEqual([]);
    expect(await bench.withStore((store) => store.disks.contentsOf(KEY))).toHaveLength(3);
  });

  it("stands for what the manifest does not say", async () => {
    const bench = await machineBench();
    const made = tartV1(DISK, 500_000);
    await bench.push("1", made);
    await bench.pull("1");
    expect((await check(bench)).findings).toEqual([]);
    const key = diskKey(readDiskImage(made.manifest)!.disks[0]!);
    await write(await bench.withStore((store) => Promise.resolve(store.disks.pathOf(key))), 5, Buffer.from("!"));
    expect(errors(await check(bench))).toEqual([["disk-damaged"]]);
    expect(errors(await check(bench, { repair: true }))).toEqual([["disk-damaged", true]]);
    expect((await check(bench)).sound).toBe(true);
  });

  it("may be nothing, of a disk that is nothing but zeros", async () => {
    const bench = await machineBench();
    const made = tartV1(Buffer.alloc(MIB), 500);
    await bench.push("1", made);
    await bench.pull("1");
    expect((await check(bench)).findings).toEqual([]);
    const key = diskKey(readDiskImage(made.manifest)!.disks[0]!);
    const path = await bench.withStore((store) => Promise.resolve(store.disks.pathOf(key)));
    await write(path, 0, Buffer.alloc(100_000));
    expect((await check(bench)).findings).toEqual([]);
    await cutOff(path, 0);
    expect(errors(await check(bench))).toEqual([["disk-damaged"]]);
  });

  it("is told apart from what is left over", async () => {
    const context = await transferContext();
    const { store } = context;
    await putTartImage(store, NAME, MADE, { chunks: true });
    await store.images.delete(NAME);
    const { findings, sound } = await checkStore(context);
    expect(sound).toBe(true);
    expect(findings.filter(({ kind }) => kind === "disk-unreferenced")).toMatchObject([{ digest: KEY }]);
  });

  it("is told apart from what is somebody else's", async () => {
    const context = await transferContext();
    const { path } = await putTartImage(context.store, NAME, MADE, { chunks: true });
    await writeFile(`${path}.bak`, "");
    await mkdir(join(context.store.root, "disks/mine"));
    await mkdir(`${path}.index`);
    const { findings } = await checkStore(context);
    const unknown = findings.filter(({ kind }) => kind === "file-unknown");
    expect(new Set(unknown.map((finding) => finding.path))).toEqual(
      new Set([join(context.store.root, "disks/mine"), `${path}.bak`]),
    );
    expect(findings).toHaveLength(2);
  });

  it("goes with the image", async () => {
    const context = await transferContext();
    const { path } = await putTartImage(context.store, NAME, MADE);
    const { disks, freedBytes } = await removeImages(context, [NAME]);
    expect(disks).toEqual([KEY]);
    expect(freedBytes).toBeGreaterThan(2 * MIB);
    await expect(open(path)).rejects.toMatchObject({ code: "ENOENT" });
    expect(await listImages(context)).toEqual([]);
  });
});

async function cutOff(path: string, size: number): Promise<void> {
  await chmod(path, 0o644);
  await truncate(path, size);
  await chmod(path, 0o444);
}

async function loseDatabase({ root }: MachineBench): Promise<void> {
  for (const file of ["meta.db", "meta.db-wal", "meta.db-shm"]) await rm(join(root, file), { force: true });
}

async function kinds(bench: MachineBench, options: CheckOptions): Promise<string[]> {
  return errors(await check(bench, options)).map(([kind]) => kind);
}

function chunkOf({ manifest }: TartImage, number: number): Digest {
  const [disk] = readDiskImage(manifest)!.disks;
  if (disk?.kind !== "chunks") throw new Error("it has no chunks");
  return disk.chunks[number]!.blob.digest;
}

async function pulled(place?: string): Promise<{ bench: MachineBench; path: string; image: TartImage }> {
  const bench = await machineBench(undefined, place);
  await bench.push("1", MADE);
  await bench.pull("1");
  return { bench, image: MADE, path: await bench.withStore((store) => Promise.resolve(store.disks.pathOf(KEY))) };
}

/** As a process of its own would. */
async function check({ root, registry }: MachineBench, options: CheckOptions = {}): Promise<StoreReport> {
  await using store: Store = await openStore(root, { sync: false });
  await using client = new RegistryClient({ registriesConf: false, retries: 0 });
  registry.clearRequests();
  const { signal } = new AbortController();
  const context: TransferContext = { store, registry: client, threads: inProcess, signal, onProgress: () => undefined };
  return await checkStore(context, options);
}
