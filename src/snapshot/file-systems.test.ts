/** The drivers on other file systems than the one that temporary files are on. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { canLoop, canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir, mountsBelow } from "../../test/kit/mounts/mount-dir.ts";
import { bindTars } from "../../test/kit/snapshot/bind-tars.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { randomLayers } from "../../test/kit/trees/random-layers.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { FILE_SYSTEMS, makeFileSystem, missingFor, mountImage } from "../../test/faults/power/loop-disk.ts";
import { digestOf } from "../oci/digest.ts";
import { openFileSystem } from "../sys/mount.ts";
import { openStore } from "../store/store.ts";
import { openDriver } from "./drivers.ts";
import { mountAll, unmount } from "./mount-all.ts";
import { probeDrivers } from "./probe.ts";
import { Snapshots } from "./service.ts";
import type { DriverName, Mount } from "./types.ts";

const xfs = FILE_SYSTEMS.find(({ name }) => name === "xfs")!;

/** The whole way on a store in `dir`: unpack, bind, look, write, commit, adopt; and nothing is left mounted or attached. */
async function useDriver(dir: string, name: DriverName): Promise<void> {
  await using store = await openStore(join(dir, `store of ${name}`), { sync: false });
  const snapshots = new Snapshots({ store, driver: await openDriver(name, store), sync: false });
  const [flat, root] = [join(dir, `flat ${name}`), join(dir, `root ${name}`)];
  for (const path of [flat, root]) mkdirSync(path);
  const mounted = async (mounts: readonly Mount[], work: () => unknown): Promise<void> => {
    await mountAll(mounts, root);
    try {
      await work();
    } finally {
      await unmount(root);
    }
  };
  const tars = randomLayers(createRng(3), { size: 40, layers: 4, maxFileSize: 3000 }).map((nodes) => packTree(nodes));
  await applyAll(flat, tars);
  const expected = await readTree(flat);
  const names = await bindTars(snapshots, tars);
  const top = names.at(-1)!;
  await mounted(await snapshots.view("view", top), async () => {
    expect([name, ...diffTrees(await readTree(root), expected)]).toEqual([name]);
  });
  await mounted(await snapshots.prepare("active", top), () => writeFileSync(join(root, "new file"), "new"));
  await snapshots.commit("written", "active");
  await mounted(await snapshots.view("of written", "written"), () => {
    expect(readFileSync(join(root, "new file"), "utf8")).toBe("new");
    expect(readdirSync(root).length).toBeGreaterThan(1);
  });
  const adopted = await snapshots.adopt("again", names.at(-2), digestOf(tars.at(-1)!));
  if (adopted !== undefined) {
    await mounted(await snapshots.view("of again", "again"), async () => {
      expect([name, ...diffTrees(await readTree(root), expected)]).toEqual([name]);
    });
  }
  expect(mountsBelow(root)).toEqual([]);
}

describe.skipIf(!canMount() || !canLoop())("on a tmpfs", () => {
  it.each<DriverName>(["erofs", "overlay", "copy"])("snapshots are kept by %s", async (name) => {
    await using dir = await mountDir();
    using mount = openFileSystem("tmpfs", [{ key: "size", value: "64m" }]);
    mount.attach(dir.path);
    await useDriver(dir.path, name);
  });
});

describe.skipIf(!canMount() || missingFor(xfs) !== undefined)("on XFS", () => {
  it("snapshots are kept by all drivers, and files share their content", async () => {
    await using dir = await mountDir();
    const image = join(dir.path, "image");
    await makeFileSystem(xfs, image);
    await using disk = await mountImage(xfs, image, join(dir.path, "disk"));
    const reports = await probeDrivers(disk.path);
    expect(reports.map(({ name, usable, reasons }) => ({ name, usable, reasons }))).toEqual(
      (["erofs", "overlay", "copy"] as const).map((name) => ({ name, usable: true, reasons: [] })),
    );
    for (const name of ["erofs", "overlay", "copy"] as const) await useDriver(disk.path, name);
  });
});
