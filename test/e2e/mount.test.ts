/** `varve mount` and `varve umount` as users meet them: what is seen, what is kept, and that nothing stays behind. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mountImage, openVarve, unmountImage } from "../../src/index.ts";
import type { MountResult } from "../../src/transfer/mount-image.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { mountsBelow } from "../kit/mounts/mount-dir.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { randomLayers } from "../kit/trees/random-layers.ts";
import {
  CAN_MOUNT,
  differences,
  DRIVERS,
  execOk,
  expectTidy,
  failureOf,
  isBare,
  mountMachine,
  placeFor,
  pushTo,
  sampleMachine,
  snapshotsOf,
} from "./mounting.ts";
import { sampleImage, sampleLayers } from "./samples.ts";

let registry: KitRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());

const push = (tag: string, image: KitImage): Promise<string> => pushTo(registry, tag, image);
const withSample = (...flags: string[]): ReturnType<typeof sampleMachine> => sampleMachine(registry, ...flags);

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
