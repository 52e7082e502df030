import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { piecesOf } from "../../test/kit/layer/apply-all.ts";
import { canMountOverlays } from "../../test/kit/layer/overlay-layers.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { directory, file, opaque, symlink, whiteout, type TreeNode } from "../../test/kit/trees/tree-node.ts";
import { atCalls } from "../sys/at.ts";
import { xattrCalls } from "../sys/xattr.ts";
import { NEW_UPPER, settleImplied } from "./overlay-settle.ts";
import { OverlayMarks } from "./overlay-marks.ts";
import { OverlayStack } from "./overlay-stack.ts";
import { unpackOverlay } from "./unpack-overlay.ts";

/** u::rwx g::rwx g:7:rwx m::rwx o::--- , as the kernel stores it. */
const ACL = Buffer.from(
  "0200000001000700ffffffff04000700ffffffff080007000700000010000700ffffffff20000000ffffffff",
  "hex",
);

interface Scene {
  readonly upper: string;
  readonly open: Parameters<typeof settleImplied>[0]["open"];
  readonly settle: (parents: readonly string[]) => { readonly replay?: string };
}

async function unpack(base: string, layer: readonly TreeNode[]): Promise<Scene> {
  mkdirSync(base);
  const target = { form: "overlay", directory: base, userXattr: false } as const;
  const { open } = await unpackOverlay(piecesOf(packTree(layer)), target);
  const settle = (parents: readonly string[]): { readonly replay?: string } =>
    settleImplied({ directory: base, open, parents, userXattr: false });
  return { upper: base, open, settle };
}

function facts(path: string): unknown {
  const { mode, uid, gid, atimeNs, mtimeNs } = lstatSync(path, { bigint: true });
  const xattrs = xattrCalls().list(path).toSorted();
  return { mode: Number(mode & 0o7777n), uid: Number(uid), gid: Number(gid), atimeNs, mtimeNs, xattrs };
}

const DEFAULTS = { mode: 0o755, uid: 0, gid: 0, atimeNs: 0n, mtimeNs: 0n, xattrs: [] };

describe.skipIf(!canMountOverlays)("an implied directory (needs root)", () => {
  it("gets all attributes of the one that lower layers show: owner, mode, times, ACLs, others, but no marks", async () => {
    await using dir = await tempDir();
    const { upper, settle } = await unpack(join(dir.path, "upper"), [file("tmp/x/f")]);
    const [near, far] = [join(dir.path, "near"), join(dir.path, "far")];
    mkdirSync(near);
    mkdirSync(join(far, "tmp/x"), { recursive: true });
    for (const [name, value] of [
      ["user.a", Buffer.from("1")],
      ["trusted.other", Buffer.from("2")],
      ["trusted.overlay.opaque", Buffer.from("y")],
      ["system.posix_acl_access", ACL],
      ["system.posix_acl_default", ACL],
    ] as const) {
      xattrCalls().set(join(far, "tmp"), name, value);
    }
    chownSync(join(far, "tmp"), 12, 13);
    chmodSync(join(far, "tmp"), 0o3777);
    utimesSync(join(far, "tmp"), 5, 6);
    xattrCalls().set(join(upper, "tmp"), "user.old", Buffer.from("goes"));
    expect(settle([near, far])).toEqual({});
    expect(facts(join(upper, "tmp"))).toEqual({
      mode: 0o3777,
      uid: 12,
      gid: 13,
      atimeNs: 5_000_000_000n,
      mtimeNs: 6_000_000_000n,
      xattrs: ["system.posix_acl_access", "system.posix_acl_default", "trusted.other", "user.a"],
    });
  });

  it("is 0755 of root and of 1970 without a lower one, the root too, and again when its parents change", async () => {
    await using dir = await tempDir();
    const { upper, settle } = await unpack(join(dir.path, "upper"), [file("a/b/f")]);
    const lower = join(dir.path, "lower");
    mkdirSync(join(lower, "a"), { recursive: true });
    chownSync(join(lower, "a"), 7, 7);
    xattrCalls().set(join(lower, "a"), "user.a", Buffer.from("1"));
    settle([lower]);
    expect(facts(join(upper, "a"))).toMatchObject({ uid: 7, xattrs: ["user.a"] });
    settle([]);
    for (const path of ["", "a", "a/b"]) expect(facts(join(upper, path))).toEqual(DEFAULTS);
  });

  it.each<[string, (layer: string) => void]>([
    ["a deletion", (layer) => whiteoutAt(join(layer, "a"))],
    ["a deletion above", (layer) => whiteoutAt(join(layer, "over"))],
    ["an opaque directory above", (layer) => opaqueAt(join(layer, "over"))],
    ["an opaque root", (layer) => opaqueAt(layer)],
    ["a file in the place of one above that has an entry", (layer) => writeFileSync(join(layer, "over"), "")],
    ["a link in the place of one above that has an entry", (layer) => symlinkSync("x", join(layer, "over"))],
  ])("does not get what lies below %s", async (_, hide) => {
    await using dir = await tempDir();
    const { upper, settle } = await unpack(join(dir.path, "upper"), [file("a/f"), directory("over"), file("over/a/f")]);
    const [near, far] = [join(dir.path, "near"), join(dir.path, "far")];
    mkdirSync(near);
    mkdirSync(join(far, "over/a"), { recursive: true });
    mkdirSync(join(far, "a"));
    for (const path of ["a", "over/a"]) chmodSync(join(far, path), 0o700);
    hide(near);
    expect(settle([near, far])).toEqual({});
    const modes = ["a", "over/a"].map((path) => lstatSync(join(upper, path)).mode & 0o777);
    expect(modes).toContain(0o755);
  });

  it.each<[string, (path: string) => void]>([
    ["a link", (path) => symlinkSync("elsewhere", path)],
    ["a file", (path) => writeFileSync(path, "")],
  ])("that is %s below cannot be settled", async (_, make) => {
    await using dir = await tempDir();
    const { settle } = await unpack(join(dir.path, "upper"), [file("a/b/f")]);
    const [near, far] = [join(dir.path, "near"), join(dir.path, "far")];
    mkdirSync(join(near, "a"), { recursive: true });
    mkdirSync(join(far, "a"), { recursive: true });
    make(join(far, "a/b"));
    expect(settle([near, far]).replay).toMatch(/no directory at "a\/b"/);
    whiteoutAt(join(near, "a/b"));
    expect(settle([near, far])).toEqual({});
  });

  it("gives a new upper directory the root of its parents", async () => {
    await using dir = await tempDir();
    const [upper, lower] = [join(dir.path, "upper"), join(dir.path, "lower")];
    mkdirSync(upper);
    mkdirSync(lower);
    chownSync(lower, 4, 5);
    chmodSync(lower, 0o711);
    utimesSync(lower, 1, 2);
    settleImplied({ directory: upper, open: NEW_UPPER, parents: [lower], userXattr: false });
    expect(facts(upper)).toEqual(facts(lower));
  });
});

describe.skipIf(!canMountOverlays)("marks (need root)", () => {
  const layer = [
    directory("d", { mtime: 5n }),
    whiteout("d/x"),
    directory("o", { mtime: 6n }),
    opaque("o"),
    whiteout("p/q/x"),
    whiteout("p/y"),
    file("f/g"),
    whiteout("f/z"),
  ];

  it("that hide nothing go, with the directories that are there for their sake, and leave no other trace", async () => {
    await using dir = await tempDir();
    const { upper, settle } = await unpack(join(dir.path, "upper"), layer);
    expect(settle([])).toEqual({});
    expect(settle([])).toEqual({});
    expect(namesIn(upper)).toEqual(["d", "f", "f/g", "o"]);
    expect(xattrCalls().list(join(upper, "o"))).toEqual([]);
    const mtimes = ["d", "o", "f", ""].map((path) => lstatSync(join(upper, path), { bigint: true }).mtimeNs);
    expect(mtimes).toEqual([5n, 6n, 0n, 0n]);
  });

  it("that hide something stay, as often as they are settled", async () => {
    await using dir = await tempDir();
    const { upper, settle } = await unpack(join(dir.path, "upper"), layer);
    const lower = join(dir.path, "lower");
    for (const path of ["d", "o", "p/q", "f"]) mkdirSync(join(lower, path), { recursive: true });
    for (let times = 0; times < 2; times++) {
      expect(settle([lower])).toEqual({});
      expect(namesIn(upper)).toEqual(["d", "d/x", "f", "f/g", "f/z", "o", "p", "p/q", "p/q/x", "p/y"]);
      expect(xattrCalls().list(join(upper, "o"))).toEqual(["trusted.overlay.opaque"]);
    }
  });

  it("of the root become one for each name below, for the kernel minds none there", async () => {
    await using dir = await tempDir();
    const { upper, settle } = await unpack(join(dir.path, "upper"), [opaque(""), directory("own"), symlink("l", "x")]);
    const [near, far] = [join(dir.path, "near"), join(dir.path, "far")];
    for (const path of [join(near, "a"), join(near, "own"), join(far, "b"), join(far, "l")]) {
      mkdirSync(path, { recursive: true });
    }
    whiteoutAt(join(near, "gone"));
    settle([near, far]);
    expect(readdirSync(upper).toSorted()).toEqual(["a", "b", "l", "own"]);
    expect(["a", "b"].map((name) => lstatSync(join(upper, name)).isCharacterDevice())).toEqual([true, true]);
    expect(xattrCalls().list(join(upper, "own"))).toEqual(["trusted.overlay.opaque"]);
    expect(lstatSync(upper, { bigint: true }).mtimeNs).toBe(lstatSync(near, { bigint: true }).mtimeNs);
  });
});

describe.skipIf(!canMountOverlays)("a stack of many and deep directories (needs root)", () => {
  it("is looked through in any order, with few descriptors open", async () => {
    await using dir = await tempDir();
    const depth = 60;
    const path = Array.from({ length: depth }, (_, index) => `d${index}`).join("/");
    const roots = Array.from({ length: 20 }, (_, index) => join(dir.path, String(index)));
    for (const root of roots) mkdirSync(join(root, path), { recursive: true });
    const at = atCalls();
    using stack = new OverlayStack(at, new OverlayMarks(at, false), roots);
    const open = (): number => readdirSync("/proc/self/fd").length;
    const before = open();
    expect(stack.look(path)).toHaveLength(20);
    expect(open() - before).toBeLessThan(600);
    for (const again of [dirname(path), path, "d0", `${path}/none`, "", path, "d0/d1", "none/none"]) {
      const seen = stack.look(again);
      expect(typeof seen === "string" ? seen : seen.length).toBe(again.includes("none") ? "missing" : 20);
    }
  });
});

function whiteoutAt(path: string): void {
  const at = atCalls();
  const fd = at.open(-100, dirname(path), 0o10000000, 0);
  new OverlayMarks(at, false).makeWhiteout(fd, path.slice(path.lastIndexOf("/") + 1));
  at.close(fd);
}

function opaqueAt(path: string): void {
  mkdirSync(path, { recursive: true });
  xattrCalls().set(path, "trusted.overlay.opaque", Buffer.from("y"));
}

function namesIn(path: string): string[] {
  return (readdirSync(path, { recursive: true }) as string[]).toSorted();
}
