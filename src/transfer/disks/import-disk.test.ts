/** A machine's disk becomes an image that Tart takes, and a disk of the store. */
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodePlainly } from "../../../test/codec/apple-lz4/reference.ts";
import { someVmConfig } from "../../../test/kit/disk/tart-image.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { parseVmConfig } from "../../codec/tart/vm-config.ts";
import { encodersHere } from "../../disk/import/encoders.ts";
import { digestOf } from "../../oci/digest.ts";
import { parseManifest, type Manifest } from "../../oci/manifest.ts";
import { importDisk, type ImportOptions } from "./import-disk.ts";

const qemuImg = findPeer("qemu-img");
const MIB = 1 << 20;
const NAME = "example.com/vm:1";
const EPOCH = { sourceDateEpoch: 1_787_000_000 };

/** 5 MiB and a bit: noise, a hole of two chunks, noise. */
async function writeDisk(path: string): Promise<Buffer> {
  await writeFile(path, noise(MIB + 300_000, "front"));
  await truncate(path, 5 * MIB);
  await writeFile(path, noise(5000, "tail"), { flag: "a" });
  return readFile(path);
}

async function machine(context: TestContext): Promise<{ readonly path: string; readonly disk: Buffer }> {
  const path = join(context.path, "machine");
  await mkdir(path);
  await writeFile(join(path, "config.json"), someVmConfig());
  await writeFile(join(path, "nvram.bin"), "what the firmware remembers");
  return { path, disk: await writeDisk(join(path, "disk.img")) };
}

const options: ImportOptions = { ...EPOCH, chunkSize: MIB };

describe("importDisk", () => {
  it("makes chunks of a machine's disk that any decoder reads, around its own config and NVRAM", async () => {
    const context = await transferContext();
    const { path, disk } = await machine(context);
    const imported = await importDisk(context, path, NAME, { ...options, labels: { "org.example.team": "tools" } });
    const { content } = context.store;
    const manifest = parseManifest(await content.readBytes(imported.digest, MIB)) as Manifest;
    const image = readDiskImage(manifest);
    expect(image).toMatchObject({ format: "tart", canonical: true, stacked: false, statedSize: disk.length });
    const [chunked] = image?.disks ?? [];
    if (image === undefined || chunked?.kind !== "chunks") return expect.unreachable();
    const parts: Buffer[] = [];
    for (const { blob, digest } of chunked.chunks) {
      const decoded = decodePlainly(await content.readBytes(blob.digest, 2 * MIB))!;
      expect(digest).toBe(digestOf(decoded));
      parts.push(decoded);
    }
    expect(Buffer.concat(parts).equals(disk)).toBe(true);
    expect(await content.readBytes(image.config.digest, MIB)).toEqual(someVmConfig());
    expect(Buffer.from(await content.readBytes(image.nvram!.digest, MIB)).toString()).toBe(
      "what the firmware remembers",
    );
    expect(JSON.parse(Buffer.from(await content.readBytes(manifest.config.digest, MIB)).toString())).toEqual({
      architecture: "arm64",
      os: "linux",
      config: { Labels: { "org.cirruslabs.tart.disk.format": "raw", "org.example.team": "tools" } },
    });
    expect(imported.chunks).toMatchObject({ size: MIB, count: 6, distinct: 4, holes: 3, how: "kept" });
    expect(imported.disk.size).toBe(disk.length);
    expect((await readFile(imported.disk.path)).equals(disk)).toBe(true);
    expect(await context.store.disks.stat(imported.disk.key)).toMatchObject({ path: imported.disk.path });
    expect(imported.disk.allocatedBytes).toBeLessThan(3 * MIB);
  });

  it("tells how far it is: of the copy by its source, of the chunks by the image", async () => {
    const context = await transferContext();
    const { path, disk } = await machine(context);
    await importDisk(context, path, NAME, options);
    const events = context.events.filter((event) => event.type === "disk");
    const total = disk.length;
    const paths = [join(path, "disk.img"), NAME];
    expect([...new Set(events.map((event) => event.path))]).toEqual(paths);
    for (const one of paths) {
      const own = events.filter((event) => event.path === one);
      expect(own.at(-1)).toMatchObject({ done: total, total, etaSeconds: 0 });
      expect(own.every(({ done }, index) => index === 0 || done >= own[index - 1]!.done)).toBe(true);
    }
  });

  it("makes up a machine for a disk alone, the same at every time", async () => {
    const context = await transferContext();
    const path = join(context.path, "disk with any name.qcow2");
    await writeDisk(path);
    const [one, two] = [await transferContext(), await transferContext()];
    const cpus = { cpuCount: 2, memorySize: 1 << 30, architecture: "arm64" } as const;
    const first = await importDisk(one, path, NAME, { ...options, ...cpus });
    const second = await importDisk(two, path, NAME, { ...options, ...cpus });
    expect(second.digest).toBe(first.digest);
    const { layers } = parseManifest(await one.store.content.readBytes(first.digest, MIB)) as Manifest;
    const config = parseVmConfig(await one.store.content.readBytes(layers[0]!.digest, MIB));
    expect(config).toMatchObject({ os: "linux", ...cpus, cpuCountMin: 1, memorySizeMin: 512 * MIB, diskFormat: "raw" });
    expect(layers.at(-1)?.size).toBe(0);
    expect(first.warnings).toEqual([expect.stringContaining("empty NVRAM")]);
    expect(await one.store.images.get(NAME)).toMatchObject({
      manifest: { digest: first.digest, platform: { os: "linux", architecture: "arm64" } },
    });
  });

  it("makes the same chunks of a disk whose holes were written as zeros", async () => {
    const context = await transferContext();
    const [sparse, dense] = [join(context.path, "sparse"), join(context.path, "dense")];
    await writeFile(dense, await writeDisk(sparse));
    const [one, two] = [await transferContext(), await transferContext()];
    const first = await importDisk(one, sparse, NAME, options);
    const second = await importDisk(two, dense, NAME, options);
    expect([first.chunks.holes, second.chunks.holes]).toEqual([3, 0]);
    expect(second.digest).toBe(first.digest);
    const recorded = [
      await one.store.disks.contentsOf(first.disk.key),
      await two.store.disks.contentsOf(first.disk.key),
    ];
    expect(recorded[0]).toHaveLength(3);
    expect(recorded[1]).toEqual(recorded[0]);
  });

  it("keeps only the disk when blobs are to be discarded, and says of each what it held", async () => {
    const context = await transferContext();
    const { path } = await machine(context);
    const kept = await importDisk(await transferContext(), path, NAME, options);
    const imported = await importDisk(context, path, NAME, { ...options, discardBlobs: true });
    expect(imported.digest).toBe(kept.digest);
    expect(imported.chunks.how).toBe("discarded");
    const { content, layers } = context.store;
    const manifest = parseManifest(await content.readBytes(imported.digest, MIB)) as Manifest;
    for (const { digest } of manifest.layers.slice(1, -1)) {
      expect(await content.stat(digest)).toBeUndefined();
      expect(await layers.get(digest)).toMatchObject({
        discardedAt: expect.any(Date),
        uncompressedSize: expect.any(Number),
      });
    }
    await importDisk(context, path, NAME, options);
    for (const { digest } of manifest.layers.slice(1, -1)) {
      expect((await layers.get(digest))?.discardedAt).toBeUndefined();
    }
  });

  it("reads no holes: a disk of 1 TiB that has no data is there at once, and in one blob", async () => {
    const context = await transferContext();
    const path = join(context.path, "disk");
    await writeFile(path, "");
    await truncate(path, 2 ** 40);
    const imported = await importDisk(context, path, NAME, EPOCH);
    expect(imported.chunks).toMatchObject({ size: 512 * MIB, count: 2048, distinct: 1, holes: 2048 });
    expect(imported.disk).toMatchObject({ size: 2 ** 40 });
    expect(imported.disk.allocatedBytes).toBeLessThan(MIB);
  });

  it("labels disks of Apple's sparse format as what they are, and leaves them as they are", async () => {
    const context = await transferContext();
    const { path, disk } = await machine(context);
    const config = JSON.parse(someVmConfig().toString()) as object;
    await writeFile(join(path, "config.json"), JSON.stringify({ ...config, diskFormat: "asif" }));
    const imported = await importDisk(context, path, NAME, options);
    const stub = Buffer.from(await context.store.content.readBytes(imported.imageId, MIB)).toString();
    expect(stub).toContain('"org.cirruslabs.tart.disk.format":"asif"');
    expect((await readFile(imported.disk.path)).equals(disk)).toBe(true);
  });

  it.skipIf(qemuImg === undefined)(
    "makes the same image of a disk in qcow2, and takes what it is told for raw",
    async () => {
      const [one, two, three] = [await transferContext(), await transferContext(), await transferContext()];
      const [raw, qcow2] = [join(one.path, "raw"), join(one.path, "disk.img")];
      await writeDisk(raw);
      await truncate(raw, 6 * MIB);
      execFileSync(qemuImg!, ["convert", "-f", "raw", "-O", "qcow2", raw, qcow2]);
      const [first, second] = [await importDisk(one, raw, NAME, options), await importDisk(two, qcow2, NAME, options)];
      expect([first.format, second.format]).toEqual(["raw", "qcow2"]);
      expect(second.digest).toBe(first.digest);
      expect((await readFile(second.disk.path)).equals(await readFile(raw))).toBe(true);
      const forced = await importDisk(three, qcow2, NAME, { ...options, format: "raw" });
      expect(forced.format).toBe("raw");
      expect((await readFile(forced.disk.path)).equals(await readFile(qcow2))).toBe(true);
    },
  );

  it("leaves nothing when it is stopped or fails", async () => {
    const context = await transferContext();
    const { path } = await machine(context);
    const stop = new AbortController();
    const stopping = { ...context, signal: stop.signal, onProgress: () => stop.abort(new Error("stopped")) };
    await expect(importDisk(stopping, path, NAME, options)).rejects.toThrow("stopped");
    let chunks = 0;
    const encode: typeof encodersHere.encode = (...args) => {
      if (++chunks > 3) throw new Error("out of luck");
      return encodersHere.encode(...args);
    };
    const failing = { ...context, encoders: () => Promise.resolve({ lanes: 2, encode }) };
    await expect(importDisk(failing, path, NAME, options)).rejects.toThrow("out of luck");
    const { content, disks, images } = context.store;
    const put: typeof images.put = (entry) => {
      if (entry.name === NAME) throw new Error("no name today");
      return images.put(entry);
    };
    const nameless = Object.assign(Object.create(images) as typeof images, {
      put,
      get: images.get.bind(images),
      list: images.list.bind(images),
      deleteUnchanged: images.deleteUnchanged.bind(images),
    });
    const failingLate = { ...context, store: { ...context.store, images: nameless } };
    await expect(importDisk(failingLate, path, NAME, options)).rejects.toThrow("no name today");
    expect([await images.list(), await Array.fromAsync(content.list()), await Array.fromAsync(disks.list())]).toEqual([
      [],
      [],
      [],
    ]);
    expect((await readdir(context.store.root)).filter((name) => name.startsWith(".new-"))).toEqual([]);
    await importDisk(context, path, NAME, options);
  });

  it.each<[string, string, ImportOptions, (path: string) => Promise<unknown>]>([
    ["FILE_NOT_FOUND", "no config.json", {}, (path) => rm(join(path, "config.json"))],
    ["FILE_NOT_FOUND", "no such file", {}, (path) => rm(join(path, "disk.img"))],
    [
      "PATH_INVALID",
      "no regular file",
      {},
      (path) => rm(join(path, "disk.img")).then(() => mkdir(join(path, "disk.img"))),
    ],
    ["PATH_INVALID", "no byte", {}, (path) => truncate(join(path, "disk.img"), 0)],
    ["MANIFEST_TOO_LARGE", "chunks", {}, (path) => truncate(join(path, "disk.img"), 2 ** 34)],
    ["CONFIG_INVALID", "config.json", {}, (path) => writeFile(join(path, "config.json"), '{"version":2}')],
    ["PATH_INVALID", "nvram.bin has", {}, (path) => truncate(join(path, "nvram.bin"), 65 * MIB)],
    ["USAGE", "says what machine", { cpuCount: 2 }, () => Promise.resolve()],
    ["USAGE", "cannot have", { chunkSize: 100_000 }, () => Promise.resolve()],
    [
      "USAGE",
      "says what the disk is",
      { labels: { "org.cirruslabs.tart.disk.format": "raw" } },
      () => Promise.resolve(),
    ],
    ["USAGE", "a name and a value", { labels: { "": "x" } }, () => Promise.resolve()],
  ])("refuses with %s (%s)", async (code, message, more, spoil) => {
    const context = await transferContext();
    const { path } = await machine(context);
    await spoil(path);
    const importing = importDisk(context, path, NAME, { ...options, ...more });
    await expect(importing).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    expect(await Array.fromAsync(context.store.content.list())).toEqual([]);
  });

  it("refuses names that no image can have, and a Mac's disk without its machine", async () => {
    const context = await transferContext();
    const path = join(context.path, "disk");
    await writeDisk(path);
    const pinned = `${NAME}@${digestOf("x")}`;
    await expect(importDisk(context, path, pinned)).rejects.toMatchObject({ code: "REFERENCE_INVALID" });
    await expect(importDisk(context, path, "../etc")).rejects.toMatchObject({ code: "REFERENCE_INVALID" });
    await expect(importDisk(context, path, NAME, { os: "darwin" })).rejects.toMatchObject({ code: "USAGE" });
  });
});
