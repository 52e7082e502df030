import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canLoop, canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir, mountsBelow } from "../../test/kit/mounts/mount-dir.ts";
import { withoutFfi } from "../sys/libc.ts";
import { MS_RDONLY, openBind, openFileSystem } from "../sys/mount.ts";
import { OverlayDriver } from "./overlay/driver.ts";
import { DRIVERS, probeDrivers } from "./probe.ts";
import { tryReflink } from "./probe/try-reflink.ts";

const fakeStore = (root: string): Parameters<typeof OverlayDriver.open>[0] => ({
  root,
  snapshots: { findByDiffId: () => Promise.resolve([]) },
});

describe("which drivers work", () => {
  it("is told of all of them, the best first, at most one of them the default", async () => {
    await using dir = await mountDir();
    const reports = await probeDrivers(dir.path);
    expect(reports.map(({ name }) => name)).toEqual(DRIVERS);
    expect(reports.filter((report) => report.default).length).toBeLessThanOrEqual(1);
    for (const { usable, reasons } of reports) if (!usable) expect(reasons).not.toEqual([]);
    expect(readdirSync(join(dir.path, "snapshots"))).toEqual([]);
    expect(mountsBelow(dir.path)).toEqual([]);
  });

  it("is told of those that are asked for", async () => {
    await using dir = await mountDir();
    expect((await probeDrivers(dir.path, ["copy"])).map(({ name }) => name)).toEqual(["copy"]);
  });

  it("is none that calls the kernel, without foreign calls", async () => {
    await using dir = await mountDir();
    using _ = withoutFfi();
    const reports = await probeDrivers(dir.path);
    expect(reports.map(({ name, usable }) => [name, usable])).toEqual([
      ["erofs", false],
      ["overlay", false],
      ["copy", true],
    ]);
    expect(reports.filter((report) => report.default)).toEqual([]);
    await expect(OverlayDriver.open(fakeStore(dir.path))).rejects.toMatchObject({ code: "DRIVER_UNAVAILABLE" });
  });

  it("leaves alone what another is at, and removes what a dead one left", async () => {
    await using dir = await mountDir();
    for (const [name, time] of [
      ["new", new Date()],
      ["old", new Date(0)],
    ] as const) {
      mkdirSync(join(dir.path, `snapshots/.probe-${name}/below`), { recursive: true });
      utimesSync(join(dir.path, `snapshots/.probe-${name}`), time, time);
    }
    await probeDrivers(dir.path, ["copy"]);
    expect(readdirSync(join(dir.path, "snapshots"))).toEqual([".probe-new"]);
  });
});

describe.skipIf(!canMount())("which drivers work (mounting)", () => {
  it.skipIf(!canMount("erofs", []) && !canMount("overlay", []) && !canLoop())(
    "on a tmpfs: EROFS through loops",
    async () => {
      await using dir = await mountDir();
      using mount = openFileSystem("tmpfs", []);
      mount.attach(dir.path);
      const [erofs, overlay, copy] = await probeDrivers(dir.path);
      expect(erofs).toMatchObject({ usable: true, reasons: [expect.stringContaining("loop devices")] });
      expect(overlay).toMatchObject({ usable: true, reasons: [] });
      expect(copy).toMatchObject({ usable: true, default: false, reasons: [expect.stringContaining("no reflinks")] });
      expect(tryReflink(dir.path)).toBe(false);
    },
  );

  it("is not told of a full disk, where that counts", async () => {
    await using dir = await mountDir();
    using mount = openFileSystem("tmpfs", [{ key: "size", value: "64k" }]);
    mount.attach(dir.path);
    mkdirSync(join(dir.path, "snapshots"));
    expect(() => writeFileSync(join(dir.path, "ballast"), Buffer.alloc(100_000, 1))).toThrow(/ENOSPC/);
    const [erofs] = await probeDrivers(dir.path, ["erofs"]);
    expect(erofs).toMatchObject({ usable: false, reasons: [expect.stringContaining("ENOSPC")] });
    const probing = probeDrivers(dir.path, ["erofs"], { mustHaveRoom: true });
    await expect(probing).rejects.toMatchObject({ code: "NO_SPACE" });
  });

  it("nowhere where nothing can be written", async () => {
    await using dir = await mountDir();
    mkdirSync(join(dir.path, "snapshots"));
    using mount = openBind(dir.path, { flags: MS_RDONLY });
    mount.attach(dir.path);
    for (const report of await probeDrivers(dir.path)) {
      expect(report).toMatchObject({ usable: false, default: false, reasons: [expect.stringContaining("EROFS")] });
    }
  });
});
