import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../../test/kit/images/pack-tree.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { applyAll } from "../../../test/kit/layer/apply-all.ts";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { mountDir } from "../../../test/kit/mounts/mount-dir.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { runOk } from "../../../test/kit/peers/run.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { diffTrees } from "../../../test/kit/trees/diff-trees.ts";
import { randomTree } from "../../../test/kit/trees/random-tree.ts";
import { readTree } from "../../../test/kit/trees/read-tree.ts";
import { withoutFfi } from "../../sys/libc.ts";
import { removeTree } from "../../sys/remove-tree.ts";
import { xattrCalls } from "../../sys/xattr.ts";
import { mountAll } from "../mount-all.ts";
import { treeUsage } from "../tree-usage.ts";
import { cloneTree } from "./clone-tree.ts";

const asRoot = process.getuid?.() === 0;
const mkfs = findPeer("mkfs.xfs");
const MIB = 1 << 20;
/** An ACL that a directory gives to what is made in it: read for user 1, acl(5) as the kernel has it. */
const DEFAULT_ACL = Buffer.from(
  ["02000000", "01000700ffffffff", "0200040001000000", "04000500ffffffff", "10000700ffffffff", "20000500ffffffff"].join(
    "",
  ),
  "hex",
);

async function expectClone(from: string, to: string): Promise<void> {
  const { inodes, skipped } = await cloneTree(from, to);
  expect(diffTrees(await readTree(to), await readTree(from))).toEqual([]);
  expect(skipped).toEqual({ owners: 0, devices: 0, xattrs: 0 });
  expect(inodes).toBe((await treeUsage(from)).inodes);
  expect(existsSync(`${to}.links`)).toBe(false);
}

describe("the clone of a tree", () => {
  it.skipIf(!asRoot)("is the same to the last bit", async () => {
    for (let seed = 1; seed <= 3; seed++) {
      await using dir = await tempDir();
      const from = join(dir.path, "from");
      mkdirSync(from);
      await applyAll(from, [packTree(randomTree(createRng(seed), { size: 150, maxFileSize: 20_000 }))]);
      await expectClone(from, join(dir.path, "to"));
    }
  });

  it("is the same without foreign calls, but for what is out of reach then", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "from");
    mkdirSync(from);
    const wild = { owners: asRoot, xattrs: false, devices: false };
    const nodes = randomTree(createRng(9), wild).filter(({ type }) => type !== "fifo");
    await applyAll(from, [packTree(nodes.map((node) => Object.assign(node, { mtime: 1_234_567_890_000_000_000n })))]);
    {
      using _plain = withoutFfi();
      await cloneTree(from, join(dir.path, "to"));
    }
    expect(diffTrees(await readTree(join(dir.path, "to")), await readTree(from))).toEqual([]);
  });

  it("keeps holes, in files larger than the disk too", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "from");
    mkdirSync(from);
    const file = openSync(join(from, "holes"), "w");
    const size = 2 ** 42;
    for (const at of [0, 5 * MIB, size - 2 * MIB]) writeSync(file, Buffer.alloc(MIB, "varve"), 0, MIB, at);
    ftruncateSync(file, size);
    closeSync(file);
    writeFileSync(join(from, "only a hole"), "");
    truncateSync(join(from, "only a hole"), 3 * MIB + 1);
    await cloneTree(from, join(dir.path, "to"));
    const [was, is] = ["from", "to"].map((name) => statSync(join(dir.path, name, "holes")));
    expect([is!.size, is!.mtimeMs]).toEqual([was!.size, was!.mtimeMs]);
    expect(is!.blocks * 512).toBeLessThan(5 * MIB);
    const hole = statSync(join(dir.path, "to/only a hole"));
    expect([hole.size, hole.blocks]).toEqual([3 * MIB + 1, 0]);
    const read = openSync(join(dir.path, "to/holes"), "r");
    for (const at of [0, 5 * MIB, size - 2 * MIB]) {
      const buffer = Buffer.alloc(MIB);
      readSync(read, buffer, 0, MIB, at);
      expect(buffer.equals(Buffer.alloc(MIB, "varve"))).toBe(true);
    }
    closeSync(read);
  });

  it("has the same hard links, however many and far apart, and is no part of those outside", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "from");
    mkdirSync(join(from, "a/b"), { recursive: true });
    writeFileSync(join(dir.path, "outside"), "shared with the outside");
    linkSync(join(dir.path, "outside"), join(from, "inside"));
    writeFileSync(join(from, "first"), "linked");
    for (let index = 0; index < 300; index++) linkSync(join(from, "first"), join(from, "a/b", String(index)));
    symlinkSync("nowhere", join(from, "symlink"));
    linkSync(join(from, "symlink"), join(from, "a/symlink"));
    await expectClone(from, join(dir.path, "to"));
    const links = (path: string): number => lstatSync(join(dir.path, path)).nlink;
    expect(["to/first", "to/a/b/299", "to/inside", "outside", "to/symlink"].map(links)).toEqual([301, 301, 1, 2, 2]);
  });

  it("goes as deep as the tree does", async () => {
    await using dir = await tempDir();
    const before = process.cwd();
    const from = join(dir.path, "from");
    mkdirSync(from);
    // Longer than any path may be.
    process.chdir(from);
    for (let depth = 0; depth < 40; depth++) {
      mkdirSync("d".repeat(200));
      process.chdir("d".repeat(200));
    }
    writeFileSync("deep", "down");
    process.chdir(before);
    await cloneTree(from, join(dir.path, "to"));
    expect((await treeUsage(join(dir.path, "to"))).inodes).toBe(42);
    // What Node cannot remove.
    for (const name of ["from", "to"]) await removeTree(join(dir.path, name));
  });

  it("has sockets, though nobody listens there", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "from");
    mkdirSync(from);
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(join(from, "socket"), resolve));
    utimesSync(from, 5, 5);
    await expectClone(from, join(dir.path, "to"));
    await new Promise((resolve) => void server.close(resolve));
  });

  it("inherits nothing from where it is made", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "from");
    mkdirSync(join(from, "sub"), { recursive: true });
    writeFileSync(join(from, "sub/file"), "x", { mode: 0o640 });
    xattrCalls().set(dir.path, "system.posix_acl_default", DEFAULT_ACL);
    chmodSync(dir.path, 0o2755);
    await expectClone(from, join(dir.path, "to"));
    expect(xattrCalls().list(join(dir.path, "to/sub/file"))).toEqual([]);
  });

  it("fills an empty directory, and no other", async () => {
    await using dir = await tempDir();
    const [from, to] = [join(dir.path, "from"), join(dir.path, "to")];
    for (const path of [from, to]) mkdirSync(path);
    writeFileSync(join(from, "file"), "x");
    await expectClone(from, to);
    await expect(cloneTree(from, to)).rejects.toMatchObject({ code: "EEXIST" });
  });

  it("takes the place of what is there when it is made onto it, and the rest stays", async () => {
    await using dir = await tempDir();
    const [from, to] = [join(dir.path, "from"), join(dir.path, "to")];
    const put = (root: string, path: string, mode = 0o644): void => {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), `${path} of ${root}`, { mode });
    };
    for (const path of ["both/file", "both/only there", "directory there/deep/file", "file there", "kept/file"])
      put(to, path);
    for (const path of ["both/file", "both/only here", "directory there", "file there/file", "new"])
      put(from, path, 0o600);
    linkSync(join(from, "new"), join(from, "both/linked"));
    linkSync(join(to, "kept/file"), join(to, "both/linked"));
    chmodSync(join(from, "both"), 0o700);
    xattrCalls().set(join(to, "both"), "user.there", Buffer.from("x"));
    await cloneTree(from, to, { onto: true });
    const has = (await readTree(to)).map(({ path }) => path);
    const both = ["both", "both/file", "both/linked", "both/only here", "both/only there"];
    const others = ["directory there", "file there", "file there/file", "kept", "kept/file", "new"];
    expect(has).toEqual(["", ...both, ...others]);
    expect(readFileSync(join(to, "both/file"), "utf8")).toBe(`both/file of ${from}`);
    expect(statSync(join(to, "both/linked")).ino).toBe(statSync(join(to, "new")).ino);
    expect(readFileSync(join(to, "kept/file"), "utf8")).toBe(`kept/file of ${to}`);
    expect(statSync(join(to, "both")).mode & 0o7777).toBe(0o700);
    expect(xattrCalls().list(join(to, "both"))).toEqual([]);
  });

  it("is stopped by a signal, and leaves no directory for links", async () => {
    await using dir = await tempDir();
    const from = join(dir.path, "from");
    mkdirSync(from);
    for (let index = 0; index < 1000; index++) writeFileSync(join(from, String(index)), "");
    const stop = new AbortController();
    const cloning = cloneTree(from, join(dir.path, "to"), { signal: stop.signal });
    stop.abort(new Error("stop"));
    await expect(cloning).rejects.toThrow("stop");
    expect(readdirSync(dir.path)).not.toContain("to.links");
  });

  it.skipIf(!canMount())("is refused where something is mounted in the tree", async () => {
    await using dir = await mountDir();
    const point = join(dir.path, "from/point");
    for (const path of [point, join(dir.path, "elsewhere")]) mkdirSync(path, { recursive: true });
    await mountAll([{ type: "bind", source: join(dir.path, "elsewhere"), options: [] }], point);
    await expect(cloneTree(join(dir.path, "from"), join(dir.path, "to"))).rejects.toMatchObject({ code: "EXDEV" });
  });

  it.skipIf(!canMount() || mkfs === undefined)("shares contents where the file system can", async () => {
    await using dir = await mountDir();
    const [image, root] = [join(dir.path, "xfs"), join(dir.path, "root")];
    mkdirSync(root);
    writeFileSync(image, "");
    truncateSync(image, 320 * MIB);
    await runOk(mkfs!, ["-q", "-m", "reflink=1", image]);
    await runOk("mount", ["-o", "loop", image, root]);
    mkdirSync(join(root, "from"));
    for (let index = 0; index < 4; index++) {
      writeFileSync(join(root, "from", String(index)), createRng(index).bytes(24 * MIB + index));
    }
    await runOk("sync", ["-f", root]);
    const free = (): number => statfsSync(root).bfree * statfsSync(root).bsize;
    const before = free();
    await expectClone(join(root, "from"), join(root, "to"));
    await runOk("sync", ["-f", root]);
    expect(before - free()).toBeLessThan(4 * MIB);
  });
});
