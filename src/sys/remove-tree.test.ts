import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir } from "../../test/kit/mounts/mount-dir.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { mountAll } from "../snapshot/mount-all.ts";
import { withoutFfi } from "./libc.ts";
import { removeTree } from "./remove-tree.ts";

/** Some of everything, with names that are no UTF-8. */
function fill(root: string): void {
  mkdirSync(join(root, "a/b/c"), { recursive: true });
  for (let index = 0; index < 700; index++) writeFileSync(join(root, "a", String(index)), "");
  mkdirSync(Buffer.concat([Buffer.from(`${root}/a/b/`), Buffer.of(0xff, 0xfe)]));
  writeFileSync(Buffer.concat([Buffer.from(`${root}/a/b/`), Buffer.of(0xff, 0xfe, 0x2f, 0xfd)]), "x");
  symlinkSync("/", join(root, "a/b/c/root"));
  chmodSync(join(root, "a/b/c"), 0o500);
}

describe("removing a tree", () => {
  it("takes all of it, whatever its names and modes, and follows no link", async () => {
    await using dir = await tempDir();
    for (const native of [true, false]) {
      const root = join(dir.path, "tree");
      mkdirSync(join(dir.path, "outside"), { recursive: true });
      writeFileSync(join(dir.path, "outside/precious"), "x");
      mkdirSync(root);
      fill(root);
      symlinkSync(join(dir.path, "outside"), join(root, "link"));
      using _plain = native ? undefined : withoutFfi();
      await removeTree(root);
      expect(existsSync(root)).toBe(false);
      expect(readdirSync(join(dir.path, "outside"))).toEqual(["precious"]);
    }
  });

  it("takes a file or a link at the path itself, and misses nothing that is not there", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "it");
    await removeTree(path);
    await removeTree(join(path, "below"));
    writeFileSync(path, "");
    await removeTree(path);
    mkdirSync(join(dir.path, "target"));
    symlinkSync("target", path);
    await removeTree(path);
    expect(readdirSync(dir.path)).toEqual(["target"]);
  });

  it("may be done by several at once", async () => {
    await using dir = await tempDir();
    const root = join(dir.path, "tree");
    mkdirSync(root);
    fill(root);
    await Promise.all([1, 2, 3].map(() => removeTree(root)));
    expect(existsSync(root)).toBe(false);
  });

  it.skipIf(!canMount())("keeps what is mounted in it, of the same file system too", async () => {
    await using dir = await mountDir();
    const [root, elsewhere] = [join(dir.path, "tree"), join(dir.path, "elsewhere")];
    const point = join(root, "a/point");
    for (const path of [point, elsewhere]) mkdirSync(path, { recursive: true });
    writeFileSync(join(elsewhere, "precious"), "x");
    await mountAll([{ type: "bind", source: elsewhere, options: [] }], point);
    await expect(removeTree(root)).rejects.toMatchObject({ code: "EBUSY" });
    await expect(removeTree(point)).rejects.toMatchObject({ code: "EBUSY" });
    expect(readdirSync(elsewhere)).toEqual(["precious"]);
  });
});
