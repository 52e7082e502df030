/** What machines, their directories and disks' files are told to be. */
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { makeSparse, MIB } from "../../../test/kit/disk/sparse-file.ts";
import { tartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { exportMachine } from "./export.ts";
import { diskInformation } from "./info.ts";

const NAME = "example.com/vm:1";
const DISK = Buffer.concat([noise(100_000, "disk"), Buffer.alloc(2 * MIB)]);
const MADE = tartImage(DISK, { chunkSizes: [MIB] });
const MACHINE = { os: "linux", architecture: "arm64", cpuCount: 4, memoryBytes: 4 << 28, diskFormat: "raw" };

describe("an image of the store", () => {
  it("is told with its machine, its chunks and where its disk is", async () => {
    const context = await transferContext();
    const { path, key } = await putTartImage(context.store, NAME, MADE);
    const info = await diskInformation(context, NAME);
    expect(info).toMatchObject({
      kind: "image",
      name: NAME,
      format: "tart",
      ...MACHINE,
      stacked: false,
      canonical: true,
    });
    const [disk] = info.kind === "image" ? info.disks : [];
    expect(disk).toMatchObject({ name: "disk.img", key, logicalBytes: DISK.length, chunks: 3, zeroChunks: 2 });
    expect(disk).toMatchObject({ held: "disk", path, chunkBytes: { least: DISK.length - 2 * MIB, most: MIB } });
    expect(disk?.allocatedBytes).toBeLessThan(MIB);
  });

  it.each([
    [{ disk: false, chunks: true }, "blobs"],
    [{ disk: false, chunks: false }, null],
  ])("is told without its disk: %j", async (options, held) => {
    const context = await transferContext();
    await putTartImage(context.store, NAME, MADE, options);
    expect(await diskInformation(context, NAME)).toMatchObject({ disks: [{ held, path: null, allocatedBytes: null }] });
  });

  it("is told with what another process is making of it", async () => {
    const context = await transferContext();
    const { key } = await putTartImage(context.store, NAME, MADE, { disk: false });
    const partial = await context.store.disks.open({ key, size: DISK.length });
    if (!("window" in partial)) throw new Error("the disk is there");
    await using _open = partial;
    expect(await diskInformation(context, NAME)).toMatchObject({ disks: [{ held: "part" }] });
  });
});

describe("a path", () => {
  it("of a machine's directory is told with its configuration and disks", async () => {
    const context = await transferContext();
    await putTartImage(context.store, NAME, MADE);
    const path = join(context.path, "vm");
    await exportMachine(context, NAME, path);
    const info = await diskInformation(context, path);
    expect(info).toMatchObject({ kind: "directory", path, format: "tart", ...MACHINE, problem: null });
    expect(info).toMatchObject({ disks: [{ name: "disk.img", format: "raw", logicalBytes: DISK.length, extents: 1 }] });
  });

  it("of a sparse file is told with its holes", async () => {
    const context = await transferContext();
    const path = join(context.path, "disk.img");
    makeSparse(path, 8 * MIB, [
      [0, MIB],
      [4 * MIB, MIB],
    ]);
    const info = await diskInformation(context, path);
    expect(info).toMatchObject({ kind: "file", path, format: "raw", logicalBytes: 8 * MIB });
    expect(info).toMatchObject({ dataBytes: 2 * MIB, holeBytes: 6 * MIB, extents: 2 });
  });

  it("of a disk in another format is told so", async () => {
    const context = await transferContext();
    const path = join(context.path, "disk");
    await writeFile(path, "QFI\u00fb", "latin1");
    expect(await diskInformation(context, path)).toMatchObject({ kind: "file", format: "qcow2" });
  });

  it("of a directory with a hostile configuration is told as far as it goes", async () => {
    const context = await transferContext();
    const path = join(context.path, "vm");
    await mkdir(path);
    await writeFile(join(path, "config.json"), "[".repeat(10_000));
    expect(await diskInformation(context, path)).toMatchObject({ os: null, problem: expect.stringContaining("nests") });
    await writeFile(join(path, "config.json"), " ".repeat(2 << 20));
    await expect(diskInformation(context, path)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it.each(["./none", "/none/at/all"])("of nothing is no file: %s", async (path) => {
    await expect(diskInformation(await transferContext(), path)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });

  it("of neither machine nor disk is refused", async () => {
    const context = await transferContext();
    await mkdir(join(context.path, "empty"));
    await expect(diskInformation(context, join(context.path, "empty"))).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
    });
    const pipe = join(context.path, "pipe");
    execFileSync("mkfifo", [pipe]);
    await expect(diskInformation(context, pipe)).rejects.toMatchObject({ code: "PATH_INVALID" });
  });
});

describe("a word that is neither an image nor a file", () => {
  it("is not found", async () => {
    const failed = { code: "IMAGE_NOT_FOUND", hint: expect.stringContaining("varve pull none:1") };
    await expect(diskInformation(await transferContext(), "none:1")).rejects.toMatchObject(failed);
  });
});
