import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { withoutFfi } from "./libc.ts";
import { allocateRange, dropCached, freeRange, reflinkWhole, zeroDeviceRange } from "./space-calls.ts";

const MIB = 1 << 20;

describe("space of a file", () => {
  it("is given and taken back, and the size stays", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "f");
    const fd = openSync(path, "w+");
    ftruncateSync(fd, 4 * MIB);
    expect(await allocateRange(fd, 0, 4 * MIB)).toBe(true);
    expect(fstatSync(fd).blocks * 512).toBeGreaterThanOrEqual(4 * MIB);
    writeSync(fd, Buffer.alloc(4 * MIB, 1));
    expect(await freeRange(fd, MIB, 2 * MIB)).toBe(true);
    await dropCached(fd);
    expect(fstatSync(fd).size).toBe(4 * MIB);
    expect(fstatSync(fd).blocks * 512).toBeLessThanOrEqual(2.5 * MIB);
    expect(
      readFileSync(path)
        .subarray(MIB, 3 * MIB)
        .every((byte) => byte === 0),
    ).toBe(true);
    closeSync(fd);
  });

  it("cannot be given by nonsense, and the error says so", async () => {
    await using dir = await tempDir();
    const fd = openSync(join(dir.path, "f"), "w+");
    await expect(freeRange(fd, -1, 5)).rejects.toMatchObject({ code: "EINVAL" });
    await expect(allocateRange(fd, -1, 5)).rejects.toMatchObject({ code: "EINVAL" });
    expect(await zeroDeviceRange(fd, 0, 512)).toBe(false);
    closeSync(fd);
    await expect(allocateRange(fd, 0, 5)).rejects.toMatchObject({ code: "EBADF" });
  });

  it("stays as it is without foreign calls", async () => {
    await using dir = await tempDir();
    using _off = withoutFfi();
    const fd = openSync(join(dir.path, "f"), "w+");
    expect(await allocateRange(fd, 0, MIB)).toBe(false);
    expect(await freeRange(fd, 0, MIB)).toBe(false);
    expect(await zeroDeviceRange(fd, 0, MIB)).toBe(false);
    expect(await reflinkWhole(fd, fd)).toBe(false);
    await dropCached(fd);
    closeSync(fd);
  });
});
