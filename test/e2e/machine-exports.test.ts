/** Machines' images from a registry to directories and raw disks, and what all other commands say of them. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseVmConfig } from "../../src/codec/tart/vm-config.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { pushMachine } from "../kit/disk/machine-bench.ts";
import { allocated, MIB } from "../kit/disk/sparse-file.ts";
import { someVmConfig, tartImage } from "../kit/disk/tart-image.ts";
import { noise } from "../kit/recipe/random-recipe.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { newMachine, type Machine } from "./machine.ts";

const DISK = Buffer.concat([noise(MIB, "disk"), Buffer.alloc(6 * MIB), noise(1000, "end")]);
const IMAGE = tartImage(DISK, { chunkSizes: [2 * MIB] });

let registry: KitRegistry;
let machine: Machine;
const name = (): string => `${registry.host}/vm:1`;

beforeAll(async () => {
  registry = await startRegistry();
  await pushMachine(registry.host, "vm", "1", IMAGE);
  machine = await newMachine();
  await machine.pull(name());
});
afterAll(async () => {
  await registry.close();
  await machine[Symbol.asyncDispose]();
});

describe("a machine that was pulled", () => {
  it("is exported as it was pushed", async () => {
    const directory = join(machine.path, "vm");
    const result = await machine.ok("disk", "export", name(), directory, "--verify");
    expect(result).toMatchObject({ image: name(), format: "tart", logicalBytes: DISK.length, verified: true });
    expect((await readdir(directory)).toSorted()).toEqual(["config.json", "disk.img", "manifest.json", "nvram.bin"]);
    expect(digestOf(await readFile(join(directory, "disk.img")))).toBe(digestOf(DISK));
    expect(digestOf(await readFile(join(directory, "manifest.json")))).toBe(IMAGE.manifest.digest);
    expect(allocated(join(directory, "disk.img"))).toBeLessThan(2 * MIB);
    expect(await machine.fails("disk", "export", name(), directory)).toMatchObject({
      code: "TARGET_NOT_EMPTY",
      exit: 2,
    });
    await machine.ok("disk", "export", name(), directory, "--force");
  });

  it("is exported as a raw disk, over an old one", async () => {
    const file = join(machine.path, "vm.img");
    await machine.ok("disk", "export", "--raw", name(), file);
    await machine.ok("disk", "export", "--raw", name(), file);
    expect(digestOf(await readFile(file))).toBe(digestOf(DISK));
  });

  it("is cloned, and so are its clones", async () => {
    const [one, two] = [join(machine.path, "one"), join(machine.path, "two")];
    await machine.ok("disk", "clone", name(), one);
    await machine.ok("disk", "clone", one, two);
    const addresses = [
      someVmConfig(),
      ...(await Promise.all([one, two].map((path) => readFile(join(path, "config.json"))))),
    ];
    expect(new Set(addresses.map((config) => parseVmConfig(config).macAddress)).size).toBe(3);
    expect(digestOf(await readFile(join(two, "disk.img")))).toBe(digestOf(DISK));
  });

  it("is told as what it is", async () => {
    expect(await machine.images()).toMatchObject([{ name: name(), platform: "linux/arm64" }]);
    const disk = { name: "disk.img", logicalBytes: DISK.length, chunks: 4 };
    expect(await machine.ok("inspect", name())).toMatchObject({
      machine: { format: "tart", cpuCount: 4, disks: [disk] },
    });
    const remote = await machine.ok("inspect", `docker://${name()}`);
    expect(remote).toMatchObject({ machine: { format: "tart", disks: [disk] } });
    expect(await machine.ok("disk", "info", name())).toMatchObject({
      kind: "image",
      disks: [{ ...disk, held: "disk" }],
    });
  });

  it("is sound, and no container", async () => {
    expect(await machine.ok("fsck")).toMatchObject({ sound: true, findings: [], checked: { disks: 1 } });
    for (const args of [
      ["unpack", name(), join(machine.path, "rootfs")],
      ["diff", name()],
      ["mount", name(), machine.path],
    ]) {
      const { code, hint } = await machine.fails(...args);
      expect([args[0], code]).toEqual([args[0], "MEDIA_TYPE_UNSUPPORTED"]);
      expect(hint).toContain(`varve disk export ${name()} DIR`);
    }
  });

  it("is not exported by a registry's name, but is told how", async () => {
    const failed = await machine.fails("disk", "export", `docker://${name()}`, join(machine.path, "x"));
    expect(failed).toMatchObject({ code: "USAGE", hint: `run first: varve pull docker://${name()}` });
  });

  it("goes with its disk", async () => {
    await machine.ok("tag", name(), "example.com/other:1");
    expect(await machine.ok("rm", name())).toMatchObject({ disks: [] });
    const removed = await machine.ok("rm", "example.com/other:1");
    expect(removed).toMatchObject({ disks: [expect.stringMatching(/^sha256:/)] });
    expect((removed as { freedBytes: number }).freedBytes).toBeGreaterThan(MIB);
  });
});
