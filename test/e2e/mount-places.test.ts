/** Where `varve mount` mounts and where it does not: what is there already, what others mount there, and what is lost. */
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openVarve } from "../../src/index.ts";
import type { MountResult, UnmountResult } from "../../src/transfer/mount-image.ts";
import { mountsBelow } from "../kit/mounts/mount-dir.ts";
import { runOk } from "../kit/peers/run.ts";
import { VARVE_BIN } from "../kit/peers/varve.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { CAN_MOUNT, DRIVERS, expectTidy, failureOf, isBare, placeFor, sampleMachine, snapshotsOf } from "./mounting.ts";

let registry: KitRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());

const withSample = (): ReturnType<typeof sampleMachine> => sampleMachine(registry);
const mountForeign = (place: string): Promise<unknown> => runOk("mount", ["-t", "tmpfs", "none", place]);

describe.skipIf(!CAN_MOUNT || DRIVERS.length < 2)("varve mount (needs root and mounts)", () => {
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

  it("gives what no restart of the machine survives to gc, and nothing that was written or named", async () => {
    const { machine, name, place } = await withSample();
    const keys: string[] = [];
    for (const flags of [[], ["--rw"], ["--key", "named"]]) {
      keys.push(((await machine.ok("mount", ...flags, name, place)) as MountResult).snapshot);
      await runOk("umount", [place]);
    }
    const rows = async (): Promise<string[]> => {
      return (await snapshotsOf(machine)).filter((row) => !row.startsWith("committed"));
    };
    const [own = "", rw = ""] = keys;
    await machine.ok("gc");
    expect(await rows()).toEqual([`view ${own}`, `active ${rw}`, "view named"]);
    await using varve = await openVarve({ root: machine.root, threads: 0 });
    const { driver } = await varve.store.snapshots.find(DRIVERS[0]!, own);
    for (const key of keys) {
      const boot = { "varve/mounted-in-boot": "another" };
      await varve.store.snapshots.update(driver, key, boot, ["labels.varve/mounted-in-boot"]);
    }
    await machine.ok("gc");
    expect(await rows()).toEqual([`active ${rw}`, "view named"]);
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
});
