import { lstatSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { FILE_SYSTEM_CASES } from "../../test/kit/layer/file-system-cases.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { expectedTree } from "../../test/kit/trees/expected-tree.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { device, directory, file, hardlink, symlink, type TreeNode } from "../../test/kit/trees/tree-node.ts";
import { xattrCalls } from "../sys/xattr.ts";

const asRoot = process.getuid?.() === 0;
const modeOf = (path: string): number => lstatSync(path).mode & 0o7777;

/** Applies and holds the tree, without its root, to the model. */
async function expectModel(layers: TreeNode[][]): Promise<void> {
  await using dir = await tempDir();
  await applyAll(dir.path, layers);
  expect(diffTrees(await readTree(dir.path), expectedTree(layers), { root: false })).toEqual([]);
}

describe.skipIf(!asRoot)("layers of file systems (needs root)", () => {
  it.each(FILE_SYSTEM_CASES)("%s", (_, layers) => expectModel(layers));

  it("relative links of every layout stay as they are written", async () => {
    const texts = ["../../x", "./a/../b", "/abs", "//double", "a/", ".", "..", "missing", "x".repeat(4000)];
    await using dir = await tempDir();
    await applyAll(dir.path, [texts.map((target, index) => symlink(`d/l${index}`, target))]);
    expect(texts.map((_, index) => readlinkSync(join(dir.path, `d/l${index}`)))).toEqual(texts);
  });

  it("device numbers beyond 32 bits are an error, beyond the kernel's left out, overlay's 0:0 too", async () => {
    await using dir = await tempDir();
    await expect(applyAll(dir.path, [[device("x", "char", 2 ** 33, 1)]])).rejects.toMatchObject({
      code: "LAYER_INVALID",
    });
    const report = await applyAll(dir.path, [
      [file("a", "1"), file("b", "1")],
      [device("a", "char", 5000, 1), device("b", "char", 0, 0), hardlink("c", "b"), device("ok", "block", 0, 0)],
    ]);
    expect(report.skipped.devices).toBe(3);
    expect((await readTree(dir.path)).map(({ path }) => path)).toEqual(["", "ok"]);
  });

  it("a member's attributes are its own, with NULs; overlay's and trusted ones are left out", async () => {
    await using dir = await tempDir();
    const xattrs = {
      "user.a": Buffer.from("x"),
      "security.selinux": Buffer.from("unconfined_u:object_r:tmp_t:s0\0"),
      "trusted.overlay.opaque": Buffer.from("y"),
      "user.overlay.redirect": Buffer.from("/etc"),
    };
    const capability = { "security.capability": Buffer.from("0100000200040000000000000000000000000000", "hex") };
    const report = await applyAll(dir.path, [
      [directory("d", { xattrs }), file("f", "x", { xattrs: { ...xattrs, ...capability }, uid: 5, mode: 0o755 })],
    ]);
    const at = (name: string): string[] => xattrCalls().list(join(dir.path, name)).toSorted();
    expect(at("d")).toEqual(["security.selinux", "user.a"]);
    expect(at("f")).toEqual(["security.capability", "security.selinux", "user.a"]);
    expect(xattrCalls().get(join(dir.path, "d"), "security.selinux")?.at(-1)).toBe(0);
    expect(report.skipped.xattrs).toBe(4);
    expect(report.warnings).toHaveLength(1);
  });

  it("a directory that comes again has the attributes of its last entry alone", async () => {
    await using dir = await tempDir();
    const value = Buffer.from("v");
    await applyAll(dir.path, [
      [directory("d", { xattrs: { "user.old": value, "user.both": value } })],
      [directory("d", { xattrs: { "user.both": Buffer.from("w") } })],
    ]);
    expect(
      xattrCalls()
        .list(join(dir.path, "d"))
        .filter((name) => name.startsWith("user.")),
    ).toEqual(["user.both"]);
  });

  it("a default ACL of a directory does not change what is put into it", async () => {
    await using dir = await tempDir();
    // u::rwx g::rwx g:7:rwx m::rwx o::--- , as the kernel stores it.
    const acl = Buffer.from(
      "02000000" +
        "01000700ffffffff" +
        "04000700ffffffff" +
        "0800070007000000" +
        "10000700ffffffff" +
        "20000000ffffffff",
      "hex",
    );
    const layer = [directory("d", { xattrs: { "system.posix_acl_default": acl } }), file("d/f", "x", { mode: 0o644 })];
    await applyAll(dir.path, [
      layer,
      [file("d/g", "x", { mode: 0o644 }), directory("d/e", { mode: 0o755 }), file("d/i/j", "x")],
    ]);
    expect(xattrCalls().get(join(dir.path, "d"), "system.posix_acl_default")?.length).toBe(acl.length);
    for (const [name, mode] of [
      ["f", 0o644],
      ["g", 0o644],
      ["e", 0o755],
      ["i", 0o755],
      ["i/j", 0o644],
    ] as const) {
      expect([name, modeOf(join(dir.path, "d", name))]).toEqual([name, mode]);
      expect(
        xattrCalls()
          .list(join(dir.path, "d", name))
          .filter((each) => each.includes("acl")),
      ).toEqual([]);
    }
  });

  it("nothing inherits the default ACL that a directory's entry is about to replace", async () => {
    await using dir = await tempDir();
    const acl = (group: string): Buffer =>
      Buffer.from(
        `0200000001000700ffffffff04000700ffffffff08000700${group}00000010000700ffffffff20000000ffffffff`,
        "hex",
      );
    const [old, next] = [acl("07"), acl("08")];
    await applyAll(dir.path, [
      [directory("d", { xattrs: { "system.posix_acl_default": old } })],
      [directory("d", { xattrs: { "system.posix_acl_default": next } }), file("d/f", "x", { mode: 0o640 })],
    ]);
    expect(xattrCalls().get(join(dir.path, "d"), "system.posix_acl_default")).toEqual(Uint8Array.from(next));
    expect([modeOf(join(dir.path, "d/f")), xattrCalls().list(join(dir.path, "d/f"))]).toEqual([0o640, []]);
  });

  it("what is made in a set-gid directory belongs to whom its entry says", async () => {
    await using dir = await tempDir();
    await applyAll(dir.path, [
      [
        directory("d", { mode: 0o2777, gid: 50 }),
        file("d/f", "", { gid: 0 }),
        directory("d/e", { mode: 0o755 }),
        file("d/e/g", ""),
      ],
    ]);
    expect(["d/f", "d/e", "d/e/g"].map((name) => lstatSync(join(dir.path, name)).gid)).toEqual([0, 0, 0]);
    expect(modeOf(join(dir.path, "d/e"))).toBe(0o755);
  });

  it("with noSameOwner all is the caller's, and nothing runs with rights that were meant for another", async () => {
    await using dir = await tempDir();
    const layer = [
      file("f", "x", { uid: 5, gid: 6, mode: 0o6755 }),
      file("mine", "x", { mode: 0o4755 }),
      directory("d", { uid: 5 }),
    ];
    const report = await applyAll(dir.path, [layer], { noSameOwner: true });
    expect(report.skipped.owners).toBe(0);
    expect(["f", "d"].map((name) => lstatSync(join(dir.path, name)).uid)).toEqual([0, 0]);
    expect([modeOf(join(dir.path, "f")), modeOf(join(dir.path, "mine"))]).toEqual([0o755, 0o4755]);
  });
});
