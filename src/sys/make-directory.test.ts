import { mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { makeDirectory } from "./make-directory.ts";

describe("making a directory", () => {
  it("makes parents, and says which was the topmost to be made", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a", "b", "c");
    expect(await makeDirectory(path, { mode: 0o700 })).toBe(join(dir.path, "a"));
    for (const made of [path, join(dir.path, "a")]) expect((await stat(made)).mode & 0o777).toBe(0o700);
    expect(await makeDirectory(join(path, "d"))).toBe(join(path, "d"));
  });

  it("is content with what is there, also through a symbolic link", async () => {
    await using dir = await tempDir();
    await mkdir(join(dir.path, "there"));
    await symlink("there", join(dir.path, "link"));
    for (const name of ["there", "link", "there/"]) expect(await makeDirectory(join(dir.path, name))).toBeUndefined();
    expect(await makeDirectory("/")).toBeUndefined();
  });

  it("lets many make the same one at once", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "a", "b", "c");
    await Promise.all(Array.from({ length: 20 }, () => makeDirectory(path)));
    expect((await stat(path)).isDirectory()).toBe(true);
  });

  it("names what is in the way", async () => {
    await using dir = await tempDir();
    const file = join(dir.path, "file");
    await writeFile(file, "");
    await expect(makeDirectory(file)).rejects.toMatchObject({ code: "EEXIST" });
    await expect(makeDirectory(join(file, "below", "it"))).rejects.toMatchObject({ code: "ENOTDIR" });
    await symlink("nowhere", join(dir.path, "dangling"));
    await expect(makeDirectory(join(dir.path, "dangling"))).rejects.toMatchObject({ code: "EEXIST" });
  });

  it.skipIf(process.platform !== "linux")("gives up where a parent takes no entries", async () => {
    const failure = await makeDirectory("/proc/varve/deep").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: expect.stringMatching(/^E(NOENT|ACCES)$/), syscall: "mkdir" });
  });
});
