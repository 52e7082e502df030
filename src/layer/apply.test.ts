import { lstatSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { expectedTree } from "../../test/kit/trees/expected-tree.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import {
  device,
  directory,
  fifo,
  file,
  hardlink,
  opaque,
  symlink,
  whiteout,
  type TreeNode,
} from "../../test/kit/trees/tree-node.ts";
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
  const base = [
    directory("etc", { mode: 0o750, uid: 3, gid: 4 }),
    file("etc/hosts", "mydomain 10.0.0.1", { mode: 0o644 }),
    file("etc/profile", "PATH=/usr/bin", { mode: 0o600 }),
    directory("root", { mode: 0o700 }),
    file("root/.bashrc", "PATH=/usr/sbin"),
  ];

  it.each<[string, TreeNode[][]]>([
    ["Basic", [base, [directory("root", { mode: 0o700 }), file("root/.bashrc", "PATH=/usr/bin")]]],
    ["Deletion", [base, [directory("etc", { mode: 0o750 }), whiteout("etc/hosts"), whiteout("root")]]],
    ["Update", [base, [directory("etc"), file("etc/hosts", "mydomain 10.0.0.120", { mode: 0o666 })]]],
    ["DirectoryPermission", [base, [directory("etc", { mode: 0o1777, uid: 9 })], [directory("root", { mode: 0o000 })]]],
    [
      "ParentDirectoryPermission",
      [
        [directory("d1", { mode: 0o700 }), directory("d2", { mode: 0o751 })],
        [directory("d1/d", { mode: 0o700 }), directory("d2/d", { mode: 0o777 })],
        [file("d1/d/f", "x"), file("d2/d/f", "x")],
      ],
    ],
    ["HardlinkUnmodified", [[...base, hardlink("etc/hosts2", "etc/hosts")], [file("new", "n")]]],
    ["HardlinkBeforeUnmodified", [base, [hardlink("etc/hosts2", "etc/hosts", { mode: 0o644 })]]],
    [
      "HardlinkBeforeModified",
      [
        [...base, hardlink("hosts2", "etc/hosts")],
        [file("etc/hosts", "changed"), hardlink("h3", "etc/hosts")],
      ],
    ],
    [
      "replace a file by each type and back",
      [
        [file("a", "1"), file("b", "1"), file("c", "1")],
        [directory("a"), symlink("b", "x"), fifo("c")],
        [symlink("a", "y"), fifo("b"), directory("c")],
        [file("a"), file("b"), file("c")],
      ],
    ],
    [
      "a directory replaced with content below it",
      [[directory("d"), directory("d/e"), file("d/e/f", "x")], [file("d", "now a file")]],
    ],
    ["opaque twice", [base, [directory("etc"), opaque("etc"), file("etc/a", "a")], [directory("etc"), opaque("etc")]]],
    [
      "owners, modes, times, devices",
      [
        [
          file("f", "x", { uid: 70_000, gid: 3_000_000, mode: 0o6755, mtime: 1_234_567_890_123_456_789n }),
          symlink("l", "f", { uid: 7, gid: 8, mtime: 5_000_000_001n }),
          fifo("p", { mode: 0o621, uid: 1 }),
          device("c", "char", 0xfff, 0xfffff, { mode: 0o4600 }),
          device("b", "block", 8, 1),
          directory("d", { mode: 0o2755, gid: 50, mtime: 1n }),
          file("d/f", "", { gid: 0 }),
          directory("d/e"),
        ],
      ],
    ],
  ])("%s", (_, layers) => expectModel(layers));

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
