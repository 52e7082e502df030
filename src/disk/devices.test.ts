/** Copies to block devices, and to disks that are full only when they are written out: loop devices over files. */
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mountTmpfs } from "../../test/kit/disk/file-systems.ts";
import { allocated, KIB, makeSparse, MIB } from "../../test/kit/disk/sparse-file.ts";
import { canLoop, canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir } from "../../test/kit/mounts/mount-dir.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { COPY_CALLS, type CopyCalls } from "./copy-calls.ts";
import { copyDisk } from "./copy.ts";

interface Device extends AsyncDisposable {
  readonly path: string;
}

/** A file as a device that can be written. */
async function attach(file: string): Promise<Device> {
  const path = (await runOk("losetup", ["--find", "--show", file])).stdout.toString().trim();
  return { path, [Symbol.asyncDispose]: async () => void (await runOk("losetup", ["--detach", path])) };
}

function bytesOf(path: string, length: number): Buffer {
  const fd = openSync(path, "r");
  const buffer = Buffer.alloc(length);
  for (let done = 0; done < length;) done += readSync(fd, buffer, done, length - done, done);
  closeSync(fd);
  return buffer;
}

describe.skipIf(!canMount() || !canLoop())("a block device", () => {
  const noCommands: CopyCalls = {
    ...COPY_CALLS,
    free: () => Promise.resolve(false),
    zeroDevice: () => Promise.resolve(false),
  };
  const noFree: CopyCalls = { ...COPY_CALLS, free: () => Promise.resolve(false) };

  it.each([
    ["gives space back", COPY_CALLS, true],
    ["can only be zeroed", noFree, true],
    ["has no commands", noCommands, false],
  ] as const)("that %s has the source's bytes, and behind them its own", async (_, calls, commands) => {
    await using dir = await tempDir();
    const [from, behind] = [join(dir.path, "source"), join(dir.path, "device")];
    const size = 8 * MIB + 1000;
    makeSparse(from, size, [
      [MIB + 100, 2 * MIB],
      [5 * MIB, MIB, "zeros"],
    ]);
    writeFileSync(behind, Buffer.alloc(10 * MIB, 7));
    await using device = await attach(behind);
    for (const sparse of ["auto", "always", "never"] as const) {
      const report = await copyDisk(from, device.path, { sparse, verify: true }, calls);
      expect(
        bytesOf(device.path, 10 * MIB)
          .subarray(0, size)
          .equals(readFileSync(from)),
      ).toBe(true);
      expect(
        bytesOf(device.path, 10 * MIB)
          .subarray(size)
          .every((byte) => byte === 7),
      ).toBe(true);
      expect(report).toMatchObject({ allocatedBytes: null, warnings: [expect.stringContaining("are what they were")] });
      expect(report.holeBytes > 0).toBe(commands && sparse !== "never");
      expect(report.copiedBytes + report.holeBytes).toBe(size);
    }
    await copyDisk(from, device.path, {}, calls);
    if (calls === COPY_CALLS) expect(allocated(behind)).toBeLessThanOrEqual(5.5 * MIB);
  });

  it("that is too small or in use is refused", async () => {
    await using dir = await mountDir();
    const [from, behind, at] = [join(dir.path, "source"), join(dir.path, "device"), join(dir.path, "mounted")];
    makeSparse(from, 20 * MIB);
    makeSparse(behind, 16 * MIB);
    await using device = await attach(behind);
    await expect(copyDisk(from, device.path)).rejects.toMatchObject({ code: "NO_SPACE" });
    makeSparse(from, MIB, [[0, MIB]]);
    await runOk(findPeer("mkfs.ext4") ?? "mkfs.ext4", ["-q", "-F", device.path]);
    await mkdir(at);
    await runOk("mount", [device.path, at]);
    await expect(copyDisk(from, device.path)).rejects.toMatchObject({ code: "STORE_BUSY" });
    await runOk("umount", [at]);
    await copyDisk(from, device.path, { verify: true });
  });
});

const mkfs = findPeer("mkfs.ext4");

describe.skipIf(!canMount() || !canLoop() || mkfs === undefined)("a disk that is full when it is written out", () => {
  it("fails the copy, and keeps what was there", async () => {
    await using small = await mountTmpfs("12m");
    await using dir = await mountDir();
    const [image, disk, from] = [join(small.path, "image"), join(dir.path, "disk"), join(dir.path, "source")];
    // It believes that it has 64 MiB, and what it lies in has 12.
    makeSparse(image, 64 * MIB);
    await runOk(mkfs!, ["-q", "-F", "-O", "^has_journal", image]);
    await mkdir(disk);
    await runOk("mount", ["-o", "loop,errors=continue", image, disk]);
    const to = join(disk, "target");
    writeFileSync(to, "old");
    await runOk("sync", ["-f", to]);
    makeSparse(from, 40 * MIB, [[0, 30 * MIB]]);
    await expect(copyDisk(from, to)).rejects.toMatchObject({
      code: expect.stringMatching(/^(IO|NO_SPACE)$/) as string,
    });
    expect(readFileSync(to, "utf8")).toBe("old");
    expect(statSync(to).size).toBe(3);
  });
});

describe.skipIf(!canMount() || mkfs === undefined)("a disk image of a machine", () => {
  it("of which half is data takes what the source takes, and is sound", async () => {
    await using dir = await tempDir();
    const [from, to] = [join(dir.path, "active.img"), join(dir.path, "passive.img")];
    const tree = join(dir.path, "tree");
    await mkdir(tree);
    for (let index = 0; index < 40; index++) writeFileSync(join(tree, `file${index}`), Buffer.alloc(MIB, index + 1));
    makeSparse(from, 96 * MIB);
    await runOk(mkfs!, ["-q", "-F", "-d", tree, from]);
    const report = await copyDisk(from, to, { verify: true });
    expect(allocated(to)).toBeLessThanOrEqual(allocated(from) + 64 * KIB);
    expect(report.holeBytes).toBeGreaterThan(40 * MIB);
    expect(readFileSync(to).equals(readFileSync(from))).toBe(true);
    await runOk("e2fsck", ["-n", "-f", to]);
  });
});
