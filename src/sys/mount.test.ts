import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir, mountsBelow } from "../../test/kit/mounts/mount-dir.ts";
import { withoutFfi } from "./libc.ts";
import { isMountPoint, MS_RDONLY, mountClassic, openBind, openFileSystem, unmount } from "./mount.ts";

const code = (code: string): unknown => expect.objectContaining({ code });

describe.skipIf(!canMount())("mounts", () => {
  it("are nowhere until they are attached, and gone when they are unmounted", async () => {
    await using dir = await mountDir();
    {
      using mount = openFileSystem("tmpfs", [{ key: "size", value: "64k" }]);
      writeFileSync(join(mount.path, "f"), "in it");
      expect(mountsBelow(dir.path)).toEqual([]);
      mount.attach(dir.path);
    }
    expect(isMountPoint(dir.path)).toBe(true);
    expect(readFileSync(join(dir.path, "f"), "utf8")).toBe("in it");
    await unmount(dir.path);
    expect(isMountPoint(dir.path)).toBe(false);
    expect(mountsBelow(dir.path)).toEqual([]);
  });

  it("end when they are closed without having been attached", async () => {
    await using dir = await mountDir();
    const mount = openFileSystem("tmpfs", []);
    mount[Symbol.dispose]();
    expect(() => mount.attach(dir.path)).toThrow(code("EBADF"));
  });

  it("show a directory a second time, to be read only", async () => {
    await using dir = await mountDir();
    const [source, target] = [join(dir.path, "source"), join(dir.path, "target")];
    mkdirSync(source);
    mkdirSync(target);
    writeFileSync(join(source, "f"), "");
    {
      using mount = openBind(source, { flags: MS_RDONLY });
      mount.attach(target);
    }
    expect(() => writeFileSync(join(target, "f"), "")).toThrow(code("EROFS"));
    writeFileSync(join(source, "f"), "still writable");
    await unmount(target);
  });

  it("are not put where a symbolic link points to", async () => {
    await using dir = await mountDir();
    mkdirSync(join(dir.path, "real"));
    symlinkSync("real", join(dir.path, "link"));
    using mount = openFileSystem("tmpfs", []);
    expect(() => mount.attach(join(dir.path, "link"))).toThrow(code("ENOTDIR"));
    mount.attach(join(dir.path, "real"));
    expect(isMountPoint(join(dir.path, "link"))).toBe(false);
    await expect(unmount(join(dir.path, "link"))).rejects.toThrow(code("EINVAL"));
    expect(isMountPoint(join(dir.path, "real"))).toBe(true);
  });

  it("say why they cannot be made, in the file system's words", () => {
    expect(() => openFileSystem("tmpfs", [{ key: "bogus", value: "1" }])).toThrow(/EINVAL.*Unknown parameter 'bogus'/);
    expect(() => openFileSystem("no such file system", [])).toThrow(code("ENODEV"));
    expect(() => openBind("/no/such/directory")).toThrow(code("ENOENT"));
  });

  it("cannot be ended while they are in use, but lazily", async () => {
    await using dir = await mountDir();
    using mount = openFileSystem("tmpfs", []);
    mount.attach(dir.path);
    await expect(unmount(dir.path)).rejects.toThrow(code("EBUSY"));
    await unmount(dir.path, { lazy: true });
    expect(mountsBelow(dir.path)).toEqual([]);
    await expect(unmount(dir.path)).rejects.toThrow(code("EINVAL"));
    await expect(unmount(join(dir.path, "none"))).rejects.toThrow(code("ENOENT"));
  });

  it("are also made by mount(2)", async () => {
    await using dir = await mountDir();
    const target = join(dir.path, "a b\n\\ü");
    mkdirSync(target);
    mountClassic({ source: "x", type: "tmpfs", flags: MS_RDONLY, data: "size=64k" }, target);
    expect(() => writeFileSync(join(target, "f"), "")).toThrow(code("EROFS"));
    expect(mountsBelow(dir.path)).toEqual([target]);
    await unmount(target);
    expect(() => mountClassic({ source: "x", type: "tmpfs", data: "bogus=1" }, target)).toThrow(code("EINVAL"));
  });
});

it("a directory that is not there is no mount point", () => {
  expect(isMountPoint("/no/such/directory")).toBe(false);
  expect(isMountPoint("/proc")).toBe(true);
});

it("there are no mounts without foreign calls", () => {
  using _ = withoutFfi();
  expect(() => openFileSystem("tmpfs", [])).toThrow(code("FFI_UNAVAILABLE"));
});
