import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { canLoop, canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir, mountsBelow } from "../../test/kit/mounts/mount-dir.ts";
import { SnapshotBench } from "../../test/kit/snapshot/bench.ts";
import { bindTars } from "../../test/kit/snapshot/bind-tars.ts";
import { file, whiteout } from "../../test/kit/trees/tree-node.ts";
import { withoutFfi } from "../sys/libc.ts";
import { ErofsDriver } from "./erofs/driver.ts";
import { mountAll, unmount } from "./mount-all.ts";
import { classicMount } from "./mount/classic-mount.ts";
import { mountStanding } from "./mount/mount-standing.ts";
import { stepsOf } from "./mount/open-all.ts";
import { overlayOptions } from "./mount/parse-mount.ts";
import type { Mount } from "./types.ts";
import { withMounted } from "./with-mounted.ts";

const code = (code: string): unknown => expect.objectContaining({ code });

/** Directories of these names, each with a file of that name in it. */
function layers(dir: string, names: readonly string[]): string[] {
  return names.map((name) => {
    const path = join(dir, name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, `of ${name.slice(0, 40).replaceAll("/", "-")}`), name);
    return path;
  });
}

function overlay(lower: readonly string[], dir?: string): Mount {
  const own = dir === undefined ? {} : { upper: join(dir, "upper"), work: join(dir, "work") };
  for (const path of Object.values(own)) mkdirSync(path, { recursive: true });
  return { type: "overlay", source: "overlay", options: overlayOptions({ lower, ...own }, ["index=off"]) };
}

const bind = (source: string, option: "ro" | "rw"): Mount => ({ type: "bind", source, options: [option, "bind"] });

const WAYS: ReadonlyArray<readonly [string, (mounts: readonly Mount[], target: string) => Promise<void>]> = [
  ["as this kernel can", mountAll],
  ["one after the other", (mounts, target) => mountStanding(stepsOf(mounts), target)],
  ["by mount(2)", (mounts, target) => mountStanding(stepsOf(mounts), target, classicMount)],
];

describe.skipIf(!canMount()).each(WAYS)("mounting %s", (_way, mount) => {
  it("binds a directory, to be read only or not", async () => {
    await using dir = await mountDir();
    const [source = "", target = ""] = layers(dir.path, ["source", "target"]);
    await mount([bind(source, "ro")], target);
    expect(readdirSync(target)).toEqual(["of source"]);
    expect(() => writeFileSync(join(target, "new"), "")).toThrow(code("EROFS"));
    await unmount(target);
    await mount([bind(source, "rw")], target);
    writeFileSync(join(target, "new"), "");
    await unmount(target);
    expect(readdirSync(source)).toContain("new");
    expect(mountsBelow(dir.path)).toEqual([]);
  });

  it.each(["plain", "a:b", "a,b", "a\\b", "a b\n", "all:of,it\\:\\,\\ ü", "l/".repeat(100) + "o".repeat(200)])(
    "lays directories over each other whatever their names: %j",
    async (name) => {
      await using dir = await mountDir();
      const [base = "", one = "", two = ""] = layers(join(dir.path, name), ["base", "one:,\\", "two"]);
      const target = join(dir.path, "target");
      mkdirSync(target);
      await mount([overlay([two, one], base)], target);
      writeFileSync(join(target, "new"), "");
      rmSync(join(target, "of two"));
      expect(readdirSync(target).toSorted()).toEqual(["new", "of one:,\\"]);
      await unmount(target);
      expect(readdirSync(join(base, "upper")).toSorted()).toEqual(["new", "of two"]);
    },
  );

  it("takes two hundred layers with long paths", async () => {
    await using dir = await mountDir();
    const names = Array.from({ length: 200 }, (_, index) => `${"x".repeat(150)}${index}`);
    const lower = layers(dir.path, names);
    const target = join(dir.path, "target");
    mkdirSync(target);
    for (const [index, path] of lower.entries()) writeFileSync(join(path, "same"), `${index}`);
    await mount([overlay(lower)], target);
    expect(readFileSync(join(target, "same"), "utf8")).toBe("0");
    await unmount(target);
    expect(mountsBelow(dir.path)).toEqual([]);
  });

  it("leaves nothing of the mounts that only serve another", async () => {
    await using dir = await mountDir();
    const [source = "", over = "", lower = "", target = ""] = layers(dir.path, ["source", "over", "lower", "target"]);
    const mounts = [{ ...bind(source, "ro"), target: lower }, overlay([over, lower], join(dir.path, "rw"))];
    await mount(mounts, target);
    expect(mountsBelow(dir.path)).toEqual([target]);
    expect(readdirSync(target).toSorted()).toEqual(["of over", "of source"]);
    writeFileSync(join(target, "of source"), "changed");
    await unmount(target);
    expect(readFileSync(join(source, "of source"), "utf8")).toBe("source");
  });

  it.skipIf(!canLoop())("shows indexes over tars, and what is written over them", async () => {
    await using bench = await SnapshotBench.open((store) => new ErofsDriver(store));
    const tars = [
      [file("a", "1"), file("b", "2")],
      [file("c", "3"), whiteout("a")],
    ].map((nodes) => packTree(nodes));
    const [, top] = await bindTars(bench.snapshots, tars);
    const target = await bench.directory();
    await mount(await bench.snapshots.view("view", top), target);
    expect(readFileSync(join(target, "b"), "utf8") + readFileSync(join(target, "c"), "utf8")).toBe("23");
    await unmount(target);
    await mount(await bench.snapshots.prepare("active", top), target);
    writeFileSync(join(target, "b"), "changed");
    expect(readdirSync(target).toSorted()).toEqual(["b", "c"]);
    expect(mountsBelow(bench.path)).toEqual([target]);
    await unmount(target);
  });

  it("leaves nothing at all when it fails", async () => {
    await using dir = await mountDir();
    const [source = "", lower = "", target = ""] = layers(dir.path, ["source", "lower", "target"]);
    const broken = overlay([lower], join(dir.path, "rw"));
    rmSync(join(dir.path, "rw/work"), { recursive: true });
    await expect(mount([{ ...bind(source, "ro"), target: lower }, broken], target)).rejects.toThrow(/ENOENT/);
    await expect(mount([{ ...overlay([lower]), options: ["lowerdir=a", "bogus=1"] }], target)).rejects.toThrow(/./);
    expect(mountsBelow(dir.path)).toEqual([]);
  });
});

describe.skipIf(!canMount())("mounting", () => {
  it("takes as many layers as the kernel", async () => {
    await using dir = await mountDir();
    const lower = layers(
      dir.path,
      Array.from({ length: 500 }, (_, index) => `${index}`),
    );
    const target = join(dir.path, "target");
    mkdirSync(target);
    await mountAll([overlay(lower, dir.path)], target);
    expect(readdirSync(target)).toHaveLength(500);
    await unmount(target);
    await expect(mountAll([overlay([...lower, target], dir.path)], target)).rejects.toThrow(
      expect.objectContaining({
        code: "MOUNT_FAILED",
        message: expect.stringContaining("too many lower directories, limit is 500"),
        hint: expect.stringContaining("--snapshotter erofs"),
      }),
    );
  });

  it("says why not in the kernel's words, and what to do", async () => {
    await using dir = await mountDir();
    const [lower = ""] = layers(dir.path, ["lower"]);
    const mount = { ...overlay([lower]), options: [`lowerdir=${lower}`, "bogus=1"] };
    await expect(mountAll([mount], lower)).rejects.toThrow(
      expect.objectContaining({ code: "MOUNT_FAILED", message: expect.stringContaining("Unknown parameter 'bogus'") }),
    );
    await expect(unmount(lower)).rejects.toThrow(
      expect.objectContaining({ code: "MOUNT_FAILED", message: `nothing is mounted at ${lower}` }),
    );
  });

  it("goes to directories only, not to what a link points to", async () => {
    await using dir = await mountDir();
    const [lower = ""] = layers(dir.path, ["lower"]);
    symlinkSync("lower", join(dir.path, "link"));
    await expect(mountAll([bind(lower, "ro")], join(dir.path, "link"))).rejects.toThrow(code("PATH_INVALID"));
    await expect(mountAll([bind(lower, "ro")], join(lower, "of lower"))).rejects.toThrow(code("PATH_INVALID"));
    await expect(mountAll([bind(lower, "ro")], join(dir.path, "none"))).rejects.toThrow(code("FILE_NOT_FOUND"));
    expect(mountsBelow(dir.path)).toEqual([]);
  });

  it("in use cannot be ended, but lazily", async () => {
    await using dir = await mountDir();
    const [lower = "", target = ""] = layers(dir.path, ["lower", "target"]);
    await mountAll([bind(lower, "ro")], target);
    mkdirSync(join(target, "../lower/below"));
    await mountAll([bind(lower, "ro")], join(target, "below"));
    await expect(unmount(target)).rejects.toThrow(
      expect.objectContaining({ code: "MOUNT_FAILED", detail: { errno: "EBUSY" } }),
    );
    await unmount(target, { lazy: true });
    expect(mountsBelow(dir.path)).toEqual([]);
  });

  it("for some work only shows nothing to others", async () => {
    await using dir = await mountDir();
    const [lower = ""] = layers(dir.path, ["lower"]);
    const seen = await withMounted([overlay([lower], dir.path)], async (root) => {
      writeFileSync(join(root, "new"), "");
      expect(mountsBelow(dir.path)).toEqual([]);
      return readdirSync(root).toSorted();
    });
    expect(seen).toEqual(["new", "of lower"]);
    expect(readdirSync(join(dir.path, "upper"))).toEqual(["new"]);
    await expect(withMounted([overlay([join(dir.path, "none")])], async () => undefined)).rejects.toThrow(
      code("MOUNT_FAILED"),
    );
  });
});

it("mounting without foreign calls is a driver's not being available", async () => {
  using _ = withoutFfi();
  await expect(mountAll([bind("/", "ro")], "/")).rejects.toThrow(code("DRIVER_UNAVAILABLE"));
  await expect(withMounted([bind("/", "ro")], async () => undefined)).rejects.toThrow(code("DRIVER_UNAVAILABLE"));
});
