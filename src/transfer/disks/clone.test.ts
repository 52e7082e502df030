/** One more machine from an image or a directory: the same but for the address of its network card. */
import { lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { allocated, MIB } from "../../../test/kit/disk/sparse-file.ts";
import { someVmConfig, tartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { parseVmConfig } from "../../codec/tart/vm-config.ts";
import { digestOf } from "../../oci/digest.ts";
import { cloneMachine } from "./clone.ts";

const NAME = "example.com/vm:1";
const DISK = Buffer.concat([noise(100_000, "disk"), Buffer.alloc(2 * MIB)]);
const MAC = parseVmConfig(someVmConfig()).macAddress;

async function machine(): Promise<TestContext> {
  const context = await transferContext();
  await putTartImage(context.store, NAME, tartImage(DISK, { chunkSizes: [MIB] }));
  return context;
}

const configOf = async (directory: string): Promise<Buffer> => readFile(join(directory, "config.json"));

describe("cloning an image", () => {
  it("makes a machine with an address of its own", async () => {
    const context = await machine();
    const [one, two] = [join(context.path, "one"), join(context.path, "two")];
    const first = await cloneMachine(context, NAME, one);
    const second = await cloneMachine(context, NAME, two, { verify: true });
    const { macAddress, ...rest } = parseVmConfig(await configOf(one));
    const { macAddress: other } = parseVmConfig(await configOf(two));
    expect(new Set([MAC, macAddress, other]).size).toBe(3);
    expect(rest).toEqual(expect.objectContaining({ cpuCount: 4, os: "linux" }));
    expect((await configOf(one)).toString()).toBe(someVmConfig().toString().replace(MAC, macAddress));
    expect(digestOf(await readFile(join(one, "disk.img")))).toBe(digestOf(DISK));
    expect(allocated(join(one, "disk.img"))).toBeLessThan(MIB);
    expect(first).toMatchObject({ source: NAME, target: one, format: "tart", macAddress, newMac: true });
    expect(second).toMatchObject({ verified: true, macAddress: other });
    await writeFile(join(one, "disk.img"), "written", { flag: "r+" });
  });

  it("keeps the address where that is asked for", async () => {
    const context = await machine();
    const result = await cloneMachine(context, NAME, join(context.path, "one"), { keepMac: true });
    expect(result).toMatchObject({ macAddress: MAC, newMac: false });
    expect(await configOf(result.target)).toEqual(someVmConfig());
  });
});

describe("cloning a directory", () => {
  it("copies all its files but locks and sockets", async () => {
    const context = await machine();
    const [one, two] = [join(context.path, "one"), join(context.path, "two")];
    await cloneMachine(context, NAME, one);
    await writeFile(join(one, "disk.img"), "run", { flag: "r+" });
    await writeFile(join(one, ".lock"), "");
    const result = await cloneMachine(context, one, two);
    expect((await readdir(two)).toSorted()).toEqual(["config.json", "disk.img", "manifest.json", "nvram.bin"]);
    expect(digestOf(await readFile(join(two, "disk.img")))).toBe(digestOf(await readFile(join(one, "disk.img"))));
    expect(result.macAddress).not.toBe(parseVmConfig(await configOf(one)).macAddress);
    expect(result).toMatchObject({
      source: one,
      logicalBytes: DISK.length,
      disks: [{ target: join(two, "disk.img") }],
    });
  });

  it("follows links to disks elsewhere, and is not done in part", async () => {
    const context = await machine();
    const [one, two] = [join(context.path, "one"), join(context.path, "two")];
    await cloneMachine(context, NAME, one);
    await rename(join(one, "disk.img"), join(context.path, "elsewhere.img"));
    await symlink("../elsewhere.img", join(one, "disk.img"));
    await cloneMachine(context, one, two);
    expect((await lstat(join(two, "disk.img"))).isFile()).toBe(true);
    expect(digestOf(await readFile(join(two, "disk.img")))).toBe(digestOf(DISK));
    await rm(join(context.path, "elsewhere.img"));
    await expect(cloneMachine(context, one, join(context.path, "three"))).rejects.toMatchObject({
      code: "PATH_INVALID",
    });
    expect(await readdir(context.path)).not.toContain("three");
  });

  it("with a configuration that cannot be read is done as it is, or not at all", async () => {
    const context = await transferContext();
    const [one, two] = [join(context.path, "one"), join(context.path, "two")];
    await mkdir(one);
    await writeFile(join(one, "config.json"), "{");
    await writeFile(join(one, "disk.img"), "disk");
    await expect(cloneMachine(context, one, two)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect(await readdir(context.path)).not.toContain("two");
    await cloneMachine(context, one, two, { keepMac: true });
    expect((await configOf(two)).toString()).toBe("{");
  });

  it("is refused for a file, for nothing, and into what is not empty", async () => {
    const context = await machine();
    const [one, file] = [join(context.path, "one"), join(context.path, "file")];
    await writeFile(file, "");
    await expect(cloneMachine(context, file, one)).rejects.toMatchObject({ code: "PATH_INVALID" });
    await expect(cloneMachine(context, join(context.path, "none"), one)).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
    });
    await expect(cloneMachine(context, NAME, context.path)).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  });
});
