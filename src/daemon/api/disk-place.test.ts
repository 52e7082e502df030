/** Nothing outside the directory of disks is read or written, however a path is written and whatever lies in the directory. */
import { execFileSync } from "node:child_process";
import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { openDiskPlace, type DiskPlace } from "./disk-place.ts";

/** A directory of disks beside a secret. */
async function disks(): Promise<{ readonly root: string; readonly outside: string }> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const [root, outside] = [join(dir.path, "disks"), join(dir.path, "outside")];
  await mkdir(join(root, "team/vm"), { recursive: true });
  await mkdir(outside);
  await writeFile(join(root, "team/disk.img"), "a disk");
  await writeFile(join(root, "team/vm/disk.img"), "a machine's disk");
  await writeFile(join(outside, "secret"), "a secret");
  return { root, outside };
}

async function opened(root: string, path: string, use: "read" | "write" = "read"): Promise<DiskPlace> {
  const place = await openDiskPlace(root, path, use);
  onTestFinished(() => place[Symbol.asyncDispose]());
  return place;
}

const code = (text: string): unknown => expect.objectContaining({ code: text });

describe("a place of disks", () => {
  it("is a file or a directory below the root, or where one can be made", async () => {
    const { root } = await disks();
    expect(await readFile((await opened(root, "team/disk.img")).path, "utf8")).toBe("a disk");
    expect(await readFile(join((await opened(root, "team/vm")).path, "disk.img"), "utf8")).toBe("a machine's disk");
    const place = await opened(root, "team/new.img", "write");
    await writeFile(place.path, "made");
    expect(await readFile(join(root, "team/new.img"), "utf8")).toBe("made");
    expect(place.shown({ path: place.path, all: [`at ${place.path}`], none: null, n: 1 })).toEqual({
      path: join(root, "team/new.img"),
      all: [`at ${join(root, "team/new.img")}`],
      none: null,
      n: 1,
    });
    expect(() => place.rethrow(new VarveError("IO", `writing ${place.path}`))).toThrow(`writing ${root}/team/new.img`);
    await expect(place.mustBeFree()).rejects.toEqual(code("FILE_EXISTS"));
  });

  it("is none without a directory, and none of what leads out of it", async () => {
    const { root, outside } = await disks();
    await expect(openDiskPlace(null, "team/disk.img", "read")).rejects.toEqual(code("DISKS_CLOSED"));
    await symlink(join(outside, "secret"), join(root, "link.img"));
    await symlink(outside, join(root, "link"));
    await symlink("../../../outside/secret", join(root, "team/vm/nvram.bin"));
    await symlink("disk.img", join(root, "team/same.img"));
    const paths = [
      "..",
      "../outside/secret",
      "team/../../outside/secret",
      "/etc/passwd",
      `${outside}/secret`,
      "",
      ".",
      "./team",
      "team/",
      "team//disk.img",
      "team/./disk.img",
      "team/disk.img\0",
      "team/\n",
      "a/".repeat(100),
      "link.img",
      "link/secret",
      "team/same.img",
    ];
    for (const use of ["read", "write"] as const) {
      for (const path of paths) {
        const error: unknown = await openDiskPlace(root, path, use).then(
          () => "opened",
          (reason: unknown) => (reason as VarveError).code,
        );
        expect([use, path, error]).toEqual([use, path, "DISKS_CLOSED"]);
      }
    }
    // A machine of which one part leads elsewhere.
    await expect(openDiskPlace(root, "team/vm", "read")).rejects.toEqual(code("DISKS_CLOSED"));
  });

  it("is what it was when it was opened, though its names change meanwhile", async () => {
    const { root, outside } = await disks();
    const [read, write] = [await opened(root, "team/disk.img"), await opened(root, "team/new.img", "write")];
    await rename(join(root, "team"), join(root, "before"));
    await symlink(outside, join(root, "team"));
    expect(await readFile(read.path, "utf8")).toBe("a disk");
    await writeFile(write.path, "made");
    expect(await readFile(join(root, "before/new.img"), "utf8")).toBe("made");
  });

  it("says what is wrong of what is not there, and of what is neither", async () => {
    const { root } = await disks();
    execFileSync("mkfifo", [join(root, "pipe")]);
    await expect(openDiskPlace(root, "nothing", "read")).rejects.toEqual(code("FILE_NOT_FOUND"));
    await expect(openDiskPlace(root, "nothing/below", "write")).rejects.toEqual(code("FILE_NOT_FOUND"));
    await expect(openDiskPlace(root, "team/disk.img/x", "read")).rejects.toEqual(code("PATH_INVALID"));
    await expect(openDiskPlace(root, "pipe", "read")).rejects.toEqual(code("PATH_INVALID"));
    await expect(openDiskPlace(root, "a".repeat(300), "write")).rejects.toEqual(code("PATH_INVALID"));
    await expect(openDiskPlace(join(root, "gone"), "x", "read")).rejects.toEqual(code("FILE_NOT_FOUND"));
  });
});
