/** What a file is says its beginning, and disks of other kinds become raw ones without anything of this machine in them. */
import { execFileSync } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { allocated, haveSameBytes, makeSparse, MIB } from "../../../test/kit/disk/sparse-file.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { convertDisk, foreignDiskSize, type ForeignDisk } from "./convert-disk.ts";
import { diskFormatOf, type DiskFormat } from "./disk-format.ts";

const { signal } = new AbortController();
const FORMATS = ["qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed", "parallels"] as const;

describe("diskFormatOf", () => {
  it.each<[DiskFormat, Buffer]>([
    ["raw", Buffer.alloc(0)],
    ["raw", Buffer.from("QF")],
    ["raw", Buffer.alloc(600)],
    ["qcow2", Buffer.from("QFI\u00fb and more", "latin1")],
    ["vmdk", Buffer.from("# Disk DescriptorFile\nversion=1\n")],
    ["vhdx", Buffer.from("vhdxfile")],
    ["vpc", Buffer.concat([Buffer.alloc(4096), Buffer.from("conectix"), Buffer.alloc(504)])],
    ["raw", Buffer.concat([Buffer.alloc(4096), Buffer.from("conectix"), Buffer.alloc(500)])],
  ])("takes for %s what begins like it, whatever its name", async (format, bytes) => {
    await using dir = await tempDir();
    const path = join(dir.path, "disk.vdi");
    await writeFile(path, bytes);
    expect(await diskFormatOf(path)).toBe(format);
  });
});

describe("convertDisk", () => {
  it("says what is missing where there is no such program, and stops when it is told to", async () => {
    const disk: ForeignDisk = { path: "/nowhere", format: "qcow2" };
    const missing = foreignDiskSize(disk, { signal, program: "varve-test-no-such-program" });
    await expect(missing).rejects.toMatchObject({
      code: "DISK_UNREADABLE",
      hint: expect.stringContaining("qemu-utils"),
    });
    const stopped = foreignDiskSize(disk, { signal: AbortSignal.abort(new Error("enough")), program: "sleep" });
    await expect(stopped).rejects.toThrow("enough");
  });
});

describe.skipIf(findPeer("qemu-img") === undefined)("with qemu-img", () => {
  const qemu = (...args: readonly string[]): unknown => execFileSync(findPeer("qemu-img")!, args, { stdio: "pipe" });

  it.each(FORMATS)("makes a raw disk of %s that was made of one, with its holes", async (format) => {
    await using dir = await tempDir();
    const at = (name: string): string => join(dir.path, name);
    makeSparse(at("raw"), 20 * MIB, [
      [0, 70_000],
      [9 * MIB, 2 * MIB],
    ]);
    qemu("convert", "-f", "raw", "-O", format, at("raw"), at("disk"));
    const disk = { path: at("disk"), format };
    expect(await diskFormatOf(disk.path)).toBe(format);
    // Of vpc the size is that of its geometry, which is a little more.
    const size = await foreignDiskSize(disk, { signal });
    expect(size).toBeGreaterThanOrEqual(20 * MIB);
    const told: number[] = [];
    await convertDisk(disk, at("out"), { signal, onProgress: (share) => told.push(share) });
    expect(told.at(-1)).toBe(1);
    expect((await stat(at("out"))).size).toBe(size);
    if (format === "vpc")
      expect((await readFile(at("out"))).subarray(0, 20 * MIB).equals(await readFile(at("raw")))).toBe(true);
    else expect(haveSameBytes(at("raw"), at("out"))).toBe(true);
    expect(allocated(at("out"))).toBeLessThan(3 * MIB);
  });

  it("knows a VHD of fixed size by its end", async () => {
    await using dir = await tempDir();
    const [raw, disk, out] = [join(dir.path, "raw"), join(dir.path, "disk"), join(dir.path, "out")];
    makeSparse(raw, 4 * MIB, [[MIB, 70_000]]);
    qemu("convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", raw, disk);
    expect(await diskFormatOf(disk)).toBe("vpc");
    await convertDisk({ path: disk, format: "vpc" }, out, { signal });
    expect(haveSameBytes(raw, out)).toBe(true);
  });

  it("refuses images that would make other files of this machine a part of the disk", async () => {
    await using dir = await tempDir();
    const at = (name: string): string => join(dir.path, name);
    makeSparse(at("secret"), MIB, [[0, 4096]]);
    qemu("create", "-f", "qcow2", "-b", at("secret"), "-F", "raw", at("backed"));
    qemu("create", "-f", "qcow2", "-o", `data_file=${at("other")}`, at("outside"), "1M");
    qemu("create", "-f", "vmdk", "-o", "subformat=monolithicFlat", at("flat.vmdk"), "1M");
    for (const [name, format] of [
      ["backed", "qcow2"],
      ["outside", "qcow2"],
      ["flat.vmdk", "vmdk"],
    ] as const) {
      const asked = foreignDiskSize({ path: at(name), format }, { signal });
      await expect(asked).rejects.toMatchObject({
        code: "DISK_UNREADABLE",
        message: expect.stringContaining("leads to another file"),
      });
    }
  });

  it("says what qemu-img says of what is none", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "disk");
    await writeFile(path, "QFI\u00fb but nothing more");
    const asked = foreignDiskSize({ path, format: "qcow2" }, { signal });
    await expect(asked).rejects.toMatchObject({ code: "DISK_UNREADABLE", message: expect.stringContaining("qcow2") });
  });
});
