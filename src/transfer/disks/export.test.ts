/** A machine's directory from an image in the store: byte for byte what its maker had, whole or not at all. */
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { lumeMachine, stackedMachine, vetuMachine } from "../../../test/kit/disk/stub-machines.ts";
import { putMachine, putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { allocated, MIB } from "../../../test/kit/disk/sparse-file.ts";
import { someVmConfig, tartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { removeImages } from "../images.ts";
import { exportMachine, exportDisk } from "./export.ts";

const NAME = "example.com/vm:1";
/** 4 MiB, of which 300 kB are data. */
const DISK = Buffer.concat([noise(100_000, "first"), Buffer.alloc(4 * MIB), noise(200_000, "last")]);
const MADE = tartImage(DISK, { chunkSizes: [MIB] });

async function machine(): Promise<TestContext> {
  const context = await transferContext();
  await putTartImage(context.store, NAME, MADE);
  return context;
}

/** Digests, which are compared faster than contents. */
async function all(directory: string): Promise<Record<string, Digest>> {
  const names = (await readdir(directory)).toSorted();
  const entries = names.map(async (name) => [name, digestOf(await readFile(join(directory, name)))] as const);
  return Object.fromEntries(await Promise.all(entries));
}

describe("exporting a machine of Tart", () => {
  it("gives the directory that Tart had, with holes", async () => {
    const context = await machine();
    const directory = join(context.path, "new/vm");
    const result = await exportMachine(context, NAME, directory);
    expect(await all(directory)).toEqual({
      "config.json": digestOf(someVmConfig()),
      "disk.img": digestOf(DISK),
      "manifest.json": MADE.manifest.digest,
      "nvram.bin": digestOf("nvram"),
    });
    expect(allocated(join(directory, "disk.img"))).toBeLessThan(MIB);
    expect(result).toMatchObject({ image: NAME, format: "tart", logicalBytes: DISK.length, verified: false });
    expect(result.allocatedBytes).toBe(allocated(join(directory, "disk.img")));
    expect(await readdir(join(context.path, "new"))).toEqual(["vm"]);
  });

  it("gives files that can be written, unlike the store's", async () => {
    const context = await machine();
    const directory = join(context.path, "vm");
    await exportMachine(context, NAME, directory, { verify: true });
    const { mode } = await stat(join(directory, "disk.img"));
    expect(mode & 0o777).toBe(0o666 & ~process.umask());
  });

  it("tells of the files where they will be", async () => {
    const context = await machine();
    const directory = join(context.path, "vm");
    await exportMachine(context, NAME, directory);
    const paths = context.events.flatMap((event) => (event.type === "disk" ? [event.path] : []));
    expect(new Set(paths)).toEqual(new Set([join(directory, "disk.img")]));
  });

  it("fills a directory that is there and empty, also by way of a link", async () => {
    const context = await machine();
    await mkdir(join(context.path, "vm"));
    await symlink("vm", join(context.path, "link"));
    await exportMachine(context, NAME, join(context.path, "link"));
    expect(await readdir(join(context.path, "vm"))).toHaveLength(4);
  });
});

describe("a directory that is in the way", () => {
  it("is left alone, and replaced file by file with force", async () => {
    const context = await machine();
    const directory = join(context.path, "vm");
    await mkdir(directory);
    await writeFile(join(directory, "disk.img"), "mine");
    await writeFile(join(directory, "notes"), "keep");
    await expect(exportMachine(context, NAME, directory)).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
    expect(await readFile(join(directory, "disk.img"), "utf8")).toBe("mine");
    await exportMachine(context, NAME, directory, { force: true });
    expect((await readdir(directory)).toSorted()).toEqual([
      "config.json",
      "disk.img",
      "manifest.json",
      "notes",
      "nvram.bin",
    ]);
    expect(await all(directory)).toMatchObject({ "disk.img": digestOf(DISK) });
  });

  it("is no place for a machine when it is a file, or has a directory where a disk goes", async () => {
    const context = await machine();
    await writeFile(join(context.path, "file"), "");
    await mkdir(join(context.path, "vm/disk.img"), { recursive: true });
    const failed = { code: "PATH_INVALID" };
    await expect(exportMachine(context, NAME, join(context.path, "file"))).rejects.toMatchObject(failed);
    const over = exportMachine(context, NAME, join(context.path, "vm"), { force: true });
    await expect(over).rejects.toMatchObject(failed);
    expect(await readdir(join(context.path, "vm"))).toEqual(["disk.img"]);
  });
});

describe("what cannot be exported", () => {
  it("leaves nothing when it is stopped", async () => {
    const context = await machine();
    const stop = new AbortController();
    const stopping: TestContext = {
      ...context,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("stopped")),
    };
    await expect(exportMachine(stopping, NAME, join(context.path, "new/vm"))).rejects.toThrow("stopped");
    expect(await readdir(context.path)).toEqual(["store"]);
  });

  it("says how to get a disk that is not held", async () => {
    const context = await transferContext();
    await putTartImage(context.store, NAME, MADE, { disk: false });
    await expect(exportMachine(context, NAME, join(context.path, "vm"))).rejects.toMatchObject({
      code: "BLOB_UNKNOWN",
      hint: `get it with: varve pull ${NAME}`,
    });
    expect(await readdir(context.path)).toEqual(["store"]);
  });

  it("is no disk of which all blobs are held: it is made of them, and is in the store then", async () => {
    const context = await transferContext();
    const { key } = await putTartImage(context.store, NAME, MADE, { disk: false, chunks: true });
    const directory = join(context.path, "vm");
    await exportMachine(context, NAME, directory);
    expect(await all(directory)).toMatchObject({ "disk.img": digestOf(DISK) });
    expect(await context.store.disks.stat(key)).toMatchObject({ size: DISK.length });
  });

  it("is a disk of another length than the image says", async () => {
    const context = await transferContext();
    const { path } = await putTartImage(context.store, NAME, MADE);
    await chmod(path, 0o600);
    await writeFile(path, "short");
    await expect(exportMachine(context, NAME, join(context.path, "vm"))).rejects.toMatchObject({
      code: "STORE_CORRUPT",
    });
  });
});

describe("machines of other makers", () => {
  const [ROOT, DATA] = [Buffer.from(noise(70_000, "root")), Buffer.from(noise(90_000, "data"))];

  it("of vetu have kernel, initramfs and disks by name", async () => {
    const context = await transferContext();
    const made = vetuMachine({ "root.img": ROOT, "data.img": DATA });
    await putMachine(context.store, NAME, made);
    const directory = join(context.path, "vm");
    const { format } = await exportMachine(context, NAME, directory);
    const files = await all(directory);
    expect(format).toBe("vetu");
    expect(Object.keys(files)).toEqual(["config.json", "data.img", "initramfs", "kernel", "root.img"]);
    expect(files).toMatchObject({
      "root.img": digestOf(ROOT),
      "data.img": digestOf(DATA),
      kernel: digestOf("the kernel"),
    });
  });

  it("of lume have the names of Tart's, without a manifest", async () => {
    const context = await transferContext();
    await putMachine(context.store, NAME, lumeMachine(ROOT));
    const directory = join(context.path, "vm");
    await exportMachine(context, NAME, directory);
    expect(Object.keys(await all(directory))).toEqual(["config.json", "disk.img", "nvram.bin"]);
  });

  it("with a stack of disks have each under its digest", async () => {
    const context = await transferContext();
    const made = stackedMachine(someVmConfig(), [ROOT, DATA, DATA]);
    await putMachine(context.store, NAME, made);
    const directory = join(context.path, "vm");
    await exportMachine(context, NAME, directory);
    const files = await all(directory);
    for (const [name, bytes] of made.disks) expect(files[name]).toBe(digestOf(bytes));
    expect(Object.keys(files)).toHaveLength(5);
  });
});

describe("an image that is removed while it is exported", () => {
  it("is exported whole", async () => {
    const context = await transferContext();
    const made = vetuMachine({ "a.img": Buffer.from(noise(70_000, "a")), "b.img": Buffer.from(noise(70_000, "b")) });
    await putMachine(context.store, NAME, made);
    let removing: Promise<unknown> | undefined;
    const onProgress = (): void => void (removing ??= removeImages(context, [NAME]));
    const directory = join(context.path, "vm");
    await exportMachine({ ...context, onProgress }, NAME, directory);
    await removing;
    expect(Object.keys(await all(directory))).toHaveLength(5);
  });
});

describe("exporting a disk alone", () => {
  it("gives a plain raw disk", async () => {
    const context = await machine();
    const file = join(context.path, "vm.img");
    const result = await exportDisk(context, NAME, file, { verify: true });
    expect(digestOf(await readFile(file))).toBe(digestOf(DISK));
    expect(result).toMatchObject({ target: file, verified: true, disks: [{ target: file }] });
    expect((await stat(file)).mode & 0o777).toBe(0o666 & ~process.umask());
  });

  it("wants to be told which of several", async () => {
    const context = await transferContext();
    const [one, other] = [Buffer.from("one"), Buffer.from("other")];
    await putMachine(context.store, NAME, vetuMachine({ "a.img": one, "b.img": other }));
    const file = join(context.path, "vm.img");
    const hint = "its disks are a.img, b.img: choose one with --disk, or export all of them to a directory";
    await expect(exportDisk(context, NAME, file)).rejects.toMatchObject({ code: "USAGE", hint });
    await expect(exportDisk(context, NAME, file, { disk: "c.img" })).rejects.toMatchObject({ code: "USAGE", hint });
    await exportDisk(context, NAME, file, { disk: "b.img" });
    expect(await readFile(file)).toEqual(other);
  });
});

describe("an image that means harm", () => {
  it.each(["../out", "/tmp/out", "config.json", ".hidden", "a/b", ""])(
    "names no file outside the directory: %j",
    async (name) => {
      const context = await transferContext();
      const { manifest, blobs } = vetuMachine({ [name]: Buffer.from("disk") });
      for (const [digest, bytes] of blobs) await context.store.content.writeBytes(digest, bytes);
      await context.store.content.writeBytes(manifest.digest, manifest.bytes);
      const descriptor = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
      await context.store.images.put({
        name: NAME,
        descriptor,
        manifest: descriptor,
        configDigest: manifest.config.digest,
      });
      await expect(exportMachine(context, NAME, join(context.path, "vm"))).rejects.toMatchObject({
        code: "MANIFEST_INVALID",
      });
      expect(await readdir(context.path)).toEqual(["store"]);
    },
  );

  it("has no configuration beyond what one may be", async () => {
    const context = await transferContext();
    await putMachine(
      context.store,
      NAME,
      stackedMachine(Buffer.alloc(2 * MIB, " "), [Buffer.from("disk"), Buffer.from("over")]),
    );
    const failed = exportMachine(context, NAME, join(context.path, "vm"));
    await expect(failed).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect(await readdir(context.path)).toEqual(["store"]);
  });

  it("is not exported with other bytes than its digests say", async () => {
    const context = await machine();
    const { config } = readDiskImage(MADE.manifest)!;
    const path = context.store.content.pathOf(config.digest);
    await chmod(path, 0o600);
    await writeFile(path, "x".repeat(config.size));
    const failed = exportMachine(context, NAME, join(context.path, "vm"));
    await expect(failed).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    expect(await readdir(context.path)).toEqual(["store"]);
  });
});
