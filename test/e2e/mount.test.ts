/** `varve mount` and `varve umount` as users meet them: what is seen, what is kept, what is refused, and that nothing stays behind. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mountImage, openVarve, unmountImage } from "../../src/index.ts";
import type { MountResult, UnmountResult } from "../../src/transfer/mount-image.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { mountsBelow } from "../kit/mounts/mount-dir.ts";
import { runOk } from "../kit/peers/run.ts";
import { VARVE_BIN } from "../kit/peers/varve.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { randomLayers } from "../kit/trees/random-layers.ts";
import { readTree } from "../kit/trees/read-tree.ts";
import type { TreeNode } from "../kit/trees/tree-node.ts";
import type { Machine } from "./machine.ts";
import {
  CAN_MOUNT,
  DRIVERS,
  execOk,
  expectTidy,
  failureOf,
  isBare,
  mountMachine,
  placeFor,
  snapshotsOf,
} from "./mounting.ts";
import { sampleImage, sampleLayers } from "./samples.ts";

let registry: KitRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());

async function push(tag: string, image: KitImage): Promise<string> {
  await pushImage(registry.host, "app", tag, image);
  return `${registry.host}/app:${tag}`;
}

/** A machine that has the sample image, as `name`. */
async function withSample(...flags: string[]): Promise<{ machine: Machine; name: string; place: string }> {
  const machine = await mountMachine();
  const name = await push("sample", await sampleImage());
  await machine.pull(...flags, name);
  registry.clearRequests();
  return { machine, name, place: placeFor(machine) };
}

async function differences(layers: readonly TreeNode[][], place: string): Promise<string[]> {
  return diffTrees(expectedTree(layers), await readTree(place), { root: false, directoryTimes: false });
}

const mountForeign = (place: string): Promise<unknown> => runOk("mount", ["-t", "tmpfs", "none", place]);

describe.each(DRIVERS)("an image mounted from %s", (driver) => {
  it("is the tree that was pushed, and can only be read", async () => {
    const machine = await mountMachine({ VARVE_SNAPSHOTTER: driver });
    const layers = randomLayers(createRng(7), { layers: 5 });
    const name = await push(`random-${driver}`, await buildImage({ layers }));
    await machine.pull(name);
    registry.clearRequests();
    const place = placeFor(machine);
    const mounted = (await execOk(machine, ["mount", name, place])) as MountResult;
    expect(mounted).toEqual({
      source: name,
      directory: place,
      snapshot: expect.stringMatching(/^mount-[0-9a-f]{12}$/),
      driver,
      readOnly: true,
    });
    expect(await differences(layers, place)).toEqual([]);
    expect(() => writeFileSync(join(place, "new"), "")).toThrow(/EROFS/);
    expect(mountsBelow(machine.path)).toEqual([place]);
    const ended: unknown = await execOk(machine, ["umount", place]);
    expect(ended).toEqual({ directory: place, snapshot: mounted.snapshot, driver, kept: false });
    expect(isBare(place)).toBe(true);
    expect((await snapshotsOf(machine)).filter((row) => !row.startsWith("committed sha256:"))).toEqual([]);
    expect(registry.requests).toEqual([]);
    await expectTidy(machine);
  });

  it("is written apart from the image, and only what was written is kept", async () => {
    const { machine, name, place } = await withSample("--snapshotter", driver);
    const other = placeFor(machine, "other");
    await machine.ok("mount", "--snapshotter", driver, name, other);
    const { snapshot } = (await machine.ok("mount", "--snapshotter", driver, "--rw", name, place)) as MountResult;
    writeFileSync(join(place, "etc/new"), "changed");
    writeFileSync(join(place, "srv/made"), "made");
    rmSync(join(place, "late"));
    expect(await differences(sampleLayers(), other)).toEqual([]);
    await machine.ok("umount", other);
    expect(await machine.ok("umount", place)).toMatchObject({ snapshot, kept: true });
    const { stdout } = await machine.varve("diff", snapshot);
    expect(stdout).toBe("D late\nC etc/new\nC srv\nA srv/made\n");

    await machine.ok("mount", "--snapshotter", driver, name, place);
    expect(await differences(sampleLayers(), place)).toEqual([]);
    await machine.ok("umount", place);

    // By its key it is there again: to be read first, to be written when that is asked for.
    expect(await machine.ok("mount", snapshot, place)).toMatchObject({ snapshot, readOnly: true, driver });
    expect(readFileSync(join(place, "etc/new"), "utf8")).toBe("changed");
    expect(() => writeFileSync(join(place, "etc/new"), "")).toThrow(/EROFS/);
    expect(await machine.ok("umount", place)).toMatchObject({ kept: true });
    expect(await machine.ok("mount", "--rw", snapshot, place)).toMatchObject({ readOnly: false });
    writeFileSync(join(place, "more"), "");
    expect(await machine.ok("umount", place)).toMatchObject({ kept: true });

    await machine.ok("mount", "--snapshotter", driver, "--rw", name, place);
    expect(await machine.ok("umount", place)).toMatchObject({ kept: false });
    expect((await snapshotsOf(machine)).filter((row) => !row.startsWith("committed"))).toEqual([`active ${snapshot}`]);
    await machine.ok("snapshots", "rm", snapshot);
    await expectTidy(machine);
  });

  it("stays whole while the image is removed under it, and frees all of it after", async () => {
    const { machine, name, place } = await withSample("--snapshotter", driver);
    const written = placeFor(machine, "written");
    await machine.ok("mount", "--snapshotter", driver, name, place);
    await machine.ok("mount", "--snapshotter", driver, "--rw", "--key", "work", name, written);
    writeFileSync(join(written, "srv/made"), "made");
    await machine.ok("rm", name);
    await machine.ok("gc", "--partials-older-than", "0");
    spawnSync("sh", ["-c", "echo 3 > /proc/sys/vm/drop_caches"]);
    expect(await differences(sampleLayers(), place)).toEqual([]);
    expect(readFileSync(join(written, "base"))).toEqual(readFileSync(join(place, "base")));
    await machine.ok("umount", place);
    expect(await machine.ok("umount", written)).toMatchObject({ snapshot: "work", kept: true });
    expect(await machine.fails("commit", "work", "app:2")).toMatchObject({ code: "IMAGE_NOT_FOUND", exit: 3 });
    await machine.ok("snapshots", "rm", "work");
    await machine.ok("gc");
    expect(await snapshotsOf(machine)).toEqual([]);
    expect(readdirSync(join(machine.root, "snapshots")).filter((file) => /^\d+$/.test(file))).toEqual([]);
    await expectTidy(machine);
  });

  it("may lie anywhere, in a store that may lie anywhere", async () => {
    const machine = await mountMachine({ VARVE_SNAPSHOTTER: driver });
    const odd = "a b,c:d\\e'f\"g$h";
    const root = join(machine.path, `store ${odd}`);
    const name = await push("sample", await sampleImage());
    await machine.ok("--root", root, "pull", name);
    const place = placeFor(machine, `place ${odd}`);
    const mounted = await machine.ok("--root", root, "mount", "--rw", "--key", "k", name, place);
    expect(mounted).toMatchObject({ directory: place, snapshot: "k", driver });
    expect(await differences(sampleLayers(), place)).toEqual([]);
    writeFileSync(join(place, "new"), "");
    expect(await machine.ok("--root", root, "umount", place)).toMatchObject({ directory: place, kept: true });
    expect(await machine.ok("--root", root, "diff", "k")).toEqual([{ kind: "A", path: "new", type: "file", size: 0 }]);
    await expectTidy(machine);
  });
});

describe.skipIf(!CAN_MOUNT || DRIVERS.length < 2)("varve mount (needs root and mounts)", () => {
  it("unpacks what was only pulled, from the bytes that are here", async () => {
    const { machine, name, place } = await withSample("--no-unpack");
    for (const driver of DRIVERS) {
      expect(await machine.ok("mount", "--snapshotter", driver, name, place)).toMatchObject({ driver });
      expect(await differences(sampleLayers(), place)).toEqual([]);
      expect(await machine.ok("umount", place)).toMatchObject({ driver, kept: false });
    }
    expect(registry.requests).toEqual([]);
    await expectTidy(machine);
  });

  it("takes any name that the image has, and keeps a snapshot that was named", async () => {
    const { machine, name, place } = await withSample();
    const [row] = await machine.images();
    for (const [at, text] of [row!.digest, row!.imageId!, row!.digest.slice(7, 19)].entries()) {
      await machine.ok("mount", "--key", `named ${at}`, text, place);
      expect(await differences(sampleLayers(), place)).toEqual([]);
      expect(await machine.ok("umount", place)).toMatchObject({ snapshot: `named ${at}`, kept: true });
    }
    await machine.ok("mount", "--key", "written", "--rw", name, place);
    expect(await machine.ok("umount", place)).toMatchObject({ snapshot: "written", kept: true });
    const kept = ["view named 0", "view named 1", "view named 2", "active written"];
    expect((await snapshotsOf(machine)).filter((line) => !line.startsWith("committed"))).toEqual(kept);
    await expectTidy(machine);
  });

  it("shows an image without layers as an empty directory", async () => {
    const machine = await mountMachine();
    const name = await push("empty", await buildImage({ layers: [] }));
    await machine.pull(name);
    const place = placeFor(machine);
    for (const driver of DRIVERS) {
      await machine.ok("mount", "--snapshotter", driver, name, place);
      expect(readdirSync(place)).toEqual([]);
      expect(() => writeFileSync(join(place, "new"), "")).toThrow(/EROFS/);
      expect(await machine.ok("umount", place)).toMatchObject({ kept: false });
      await machine.ok("mount", "--snapshotter", driver, "--rw", "--key", driver, name, place);
      writeFileSync(join(place, "new"), "");
      expect(await machine.ok("umount", place)).toMatchObject({ kept: true, driver });
    }
    expect(await machine.fails("diff", name)).toMatchObject({ code: "SNAPSHOT_NOT_FOUND", exit: 3 });
    await expectTidy(machine);
  });

  it("refuses what cannot be, says why, and leaves nothing behind", async () => {
    const { machine, name, place } = await withSample();
    const [path, missing] = [join(place, "below"), join(machine.path, "missing")];
    const link = join(machine.path, "link");
    symlinkSync(place, link);
    await machine.ok("snapshots", "view", "look", name);
    const before = await snapshotsOf(machine);
    const cases: readonly (readonly [args: string[], code: string, exit: number])[] = [
      [["mount", "no/such:image", place], "IMAGE_NOT_FOUND", 3],
      [["mount", "Not A Name", place], "REFERENCE_INVALID", 2],
      [["mount", name, missing], "FILE_NOT_FOUND", 3],
      [["mount", name, join(missing, "below")], "FILE_NOT_FOUND", 3],
      [["mount", name, join(path, "below")], "FILE_NOT_FOUND", 3],
      [["mount", name, path], "PATH_INVALID", 2],
      [["mount", name, link], "PATH_INVALID", 2],
      [["mount", name, "/"], "PATH_INVALID", 2],
      [["mount", name, ""], "USAGE", 2],
      [["mount", name], "USAGE", 2],
      [["mount", "--key", "look", name, place], "SNAPSHOT_EXISTS", 1],
      [["mount", "--key", "", name, place], "SNAPSHOT_INVALID", 2],
      [["mount", "--key", "new", "look", place], "SNAPSHOT_INVALID", 2],
      [["mount", "--rw", "look", place], "SNAPSHOT_STATE", 1],
      [["mount", "--snapshotter", "none", "--rw", name, path], "PATH_INVALID", 2],
      [["umount", place], "SNAPSHOT_NOT_FOUND", 3],
      [["umount", missing], "SNAPSHOT_NOT_FOUND", 3],
      [["umount", join(missing, "below")], "FILE_NOT_FOUND", 3],
      [["umount", "/"], "PATH_INVALID", 2],
    ];
    for (const [args, code, exit] of cases) {
      expect([args, await machine.fails(...args)]).toEqual([args, expect.objectContaining({ code, exit })]);
    }
    expect(await machine.fails("mount", "no/such:image", place)).toMatchObject({
      hint: expect.stringContaining("varve pull no/such:image"),
    });
    expect(await snapshotsOf(machine)).toEqual(before);
    await expectTidy(machine);
  });

  it("mounts one thing at one place, and nothing happens to it meanwhile", async () => {
    const { machine, name, place } = await withSample();
    const other = placeFor(machine, "other");
    await machine.ok("mount", "--rw", "--key", "work", name, place);
    const mounted = { code: "SNAPSHOT_STATE", exit: 1, hint: expect.stringContaining(`varve umount ${place}`) };
    expect(await machine.fails("mount", "work", other)).toMatchObject(mounted);
    expect(await machine.fails("mount", "--rw", "work", other)).toMatchObject(mounted);
    expect(await machine.fails("snapshots", "rm", "work")).toMatchObject(mounted);
    expect(await machine.fails("snapshots", "commit", "done", "work")).toMatchObject(mounted);
    for (const args of [[name], ["work"], ["--rw", name]]) {
      expect(await machine.fails("mount", ...args, place)).toMatchObject({ ...mounted, code: "MOUNT_FAILED" });
    }
    expect(mountsBelow(machine.path)).toEqual([place]);
    await machine.ok("umount", place);
    expect(isBare(place)).toBe(true);

    // Of two that come at the same moment one is second.
    const tries = [place, other].map((dir) => machine.exec(["--json", "mount", "--rw", "work", dir]));
    const outcomes = (await Promise.all(tries)).map(failureOf);
    expect(outcomes.toSorted((a, b) => a[1] - b[1])).toEqual([
      [undefined, 0],
      ["SNAPSHOT_STATE", 1],
    ]);
    const [where = ""] = mountsBelow(machine.path);
    await machine.ok("umount", where);
    await expectTidy(machine);
  });

  it("does not end what is in use, and loses nothing then", async () => {
    const { machine, name, place } = await withSample();
    const { snapshot } = (await machine.ok("mount", "--rw", name, place)) as MountResult;
    const handle = await open(join(place, "srv/app"));
    expect(failureOf(await machine.exec(["--json", "umount", place]))).toEqual(["MOUNT_FAILED", 1]);
    await handle.close();
    writeFileSync(join(place, "srv/app"), "changed");
    expect(await machine.ok("umount", place)).toMatchObject({ snapshot, kept: true });
    await expectTidy(machine);
  });

  it("knows its own mounts from those of others", async () => {
    const { machine, name, place } = await withSample();
    await mountForeign(place);
    expect(await machine.fails("umount", place)).toMatchObject({ code: "SNAPSHOT_NOT_FOUND", exit: 3 });
    // One may mount over what is there, as with mount(8).
    const { snapshot } = (await machine.ok("mount", "--rw", name, place)) as MountResult;
    writeFileSync(join(place, "new"), "kept");
    await mountForeign(place);
    expect(await machine.fails("umount", place)).toMatchObject({ code: "MOUNT_FAILED", exit: 1 });
    expect(await machine.fails("snapshots", "rm", snapshot)).toMatchObject({ code: "SNAPSHOT_STATE" });
    await runOk("umount", [place]);
    expect(await machine.ok("umount", place)).toMatchObject({ snapshot, kept: true });
    expect(mountsBelow(machine.path)).toEqual([place]);
    await runOk("umount", [place]);

    // When ours is gone, what stands in its place is not ours.
    for (const args of [[name], ["--rw", name], ["--rw", snapshot]]) {
      const mounted = (await machine.ok("mount", ...args, place)) as MountResult;
      await runOk("umount", [place]);
      await mountForeign(place);
      const ended = (await machine.ok("umount", place)) as UnmountResult;
      expect(ended).toMatchObject({ snapshot: mounted.snapshot, kept: mounted.snapshot === snapshot });
      expect(mountsBelow(machine.path)).toEqual([place]);
      await runOk("umount", [place]);
    }
    await machine.ok("mount", "--rw", snapshot, place);
    expect(readFileSync(join(place, "new"), "utf8")).toBe("kept");
    await runOk("umount", [place]);
    // It is not mounted, whatever is remembered of it.
    await machine.ok("mount", snapshot, placeFor(machine, "other"));
    expect(mountsBelow(machine.path)).toEqual([join(machine.path, "other")]);
    await machine.ok("umount", join(machine.path, "other"));
    expect(await machine.fails("umount", place)).toMatchObject({ code: "SNAPSHOT_NOT_FOUND" });
    await expectTidy(machine);
  });

  it("finds paths that are no text", async () => {
    const { machine, name } = await withSample();
    const shell = (script: string): Promise<unknown> => {
      const env = { VARVE_ROOT: machine.root, HOME: machine.path };
      const lines = ["set -e", 'place=$(printf "%s/\\351\\377 x/b\\201" "$3")', script].join("\n");
      return runOk("sh", ["-c", lines, "sh", process.execPath, VARVE_BIN, machine.path, name], { env });
    };
    await shell('mkdir -p "$place" && "$1" "$2" mount --rw --key bytes "$4" "$place" && echo x > "$place/new"');
    expect(mountsBelow(machine.path)).toEqual([join(machine.path, "\udce9\udcff x/b\udc81")]);
    await shell('"$1" "$2" umount "$place" && test -z "$(ls -A "$place")"');
    expect(await machine.ok("diff", "bytes")).toMatchObject([{ kind: "A", path: "new" }]);
    await expectTidy(machine);
  });

  it("is there for programs too", async () => {
    const { machine, name, place } = await withSample();
    await using varve = await openVarve({ root: machine.root, threads: 0 });
    const { snapshot } = await mountImage(varve, name, place, { rw: true });
    writeFileSync(join(place, "new"), "");
    expect(await unmountImage(varve, place)).toMatchObject({ snapshot, kept: true });
    const broken = mountImage(varve, name, place, { key: snapshot });
    await expect(broken).rejects.toMatchObject({ code: "SNAPSHOT_EXISTS" });
    await expectTidy(machine);
  });

  it("says what is missing where foreign calls cannot be made", async () => {
    const { machine, name, place } = await withSample();
    for (const flags of [[], ["--snapshotter", "overlay"], ["--snapshotter", "copy"]]) {
      const outcome = await machine.exec(["--json", ...flags, "mount", name, place], { VARVE_NO_FFI: "1" });
      expect([...failureOf(outcome), outcome.stdout]).toEqual([
        "DRIVER_UNAVAILABLE",
        1,
        expect.stringContaining("foreign calls are not available"),
      ]);
    }
    expect((await snapshotsOf(machine)).filter((row) => !row.startsWith("committed"))).toEqual([]);
    await expectTidy(machine);
  });
});
