/** The kit's own chain of evidence: what randomTree describes, GNU tar unpacks from our tar and readTree reads back. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { link, mkdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../images/pack-tree.ts";
import { createRng } from "../images/rng.ts";
import { findPeer } from "../peers.ts";
import { runOk } from "../peers/run.ts";
import { tempDir } from "../temp-dir.ts";
import { diffTrees } from "./diff-trees.ts";
import { expectedTree } from "./expected-tree.ts";
import { randomTree } from "./random-tree.ts";
import { readTree } from "./read-tree.ts";
import { device, directory, fifo, file, hardlink, opaque, symlink, whiteout } from "./tree-node.ts";

const tar = findPeer("tar");
const isRoot = process.getuid?.() === 0;

/** Metadata of directories is put right last, whatever order the members come in. */
async function gnuUntar(archive: Uint8Array, dir: string): Promise<void> {
  const flags = ["--delay-directory-restore", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-"];
  await runOk(tar ?? "tar", [...flags, "-C", dir], { input: archive });
}

describe.skipIf(tar === undefined || !isRoot)("a random tree, packed, and unpacked by GNU tar", () => {
  it.each([1, 2, 3, 4])("reads back as it was described (seed %i)", async (seed) => {
    await using dir = await tempDir();
    const nodes = randomTree(createRng(seed), { size: 150 });
    await gnuUntar(packTree(nodes), dir.path);
    expect(diffTrees(expectedTree([nodes]), await readTree(dir.path), { root: false })).toEqual([]);
  });

  it("holds every type of member, odd names and extreme numbers", async () => {
    await using dir = await tempDir();
    const nodes = [
      directory("d", { mode: 0o1777, uid: 12, gid: 3_000_000_000, mtime: -1_500_000_000n }),
      file("d/new\nline", "x", { xattrs: { "user.a": Buffer.from([0, 255, 10]), "user.ü": Buffer.from("y") } }),
      file("d/\udcff", "bytes", { mode: 0o6755, mtime: 1_234_567_890_123_456_789n }),
      symlink("d/link", "../somewhere/ü", { uid: 7 }),
      hardlink("same", "d/new\nline"),
      fifo("d/pipe", { mode: 0o600 }),
      device("d/null", "char", 1, 3, { mode: 0o666 }),
      device("d/disk", "block", 300, 70_000),
    ];
    await gnuUntar(packTree(nodes), dir.path);
    const entries = await readTree(dir.path);
    const link = hardlink("same", "d/new\nline", { xattrs: {} });
    expect(
      diffTrees(expectedTree([[...nodes.filter((node) => node.path !== "same"), link]]), entries, { root: false }),
    ).toEqual([]);
    expect(entries.find(({ path }) => path === "same")?.linkedTo).toBe("d/new\nline");
  });
});

describe("readTree and diffTrees", () => {
  it("tell each fact that differs, and nothing of trees that are equal", async () => {
    await using dir = await tempDir();
    const [a, b] = [join(dir.path, "a"), join(dir.path, "b")];
    for (const root of [a, b]) {
      await mkdir(root);
      await writeFile(join(root, "f"), "same");
      await utimes(join(root, "f"), 1, 1);
      await utimes(root, 5, 5);
    }
    expect(diffTrees(await readTree(a), await readTree(b))).toEqual([]);
    await writeFile(join(b, "f"), "diff");
    await writeFile(join(b, "only"), "");
    await link(join(b, "f"), join(b, "second"));
    const lines = diffTrees(await readTree(a), await readTree(b), { ignore: ["mtime"] });
    expect(lines.map((line) => line.replace(/[0-9a-f]{64}/g, "#"))).toEqual([
      '"f": sha256 "#" / "#"',
      '"f": linkedTo undefined / "f"',
      '"only": only in the second',
      '"second": only in the second',
    ]);
  });

  it.skipIf(findPeer("python3") === undefined)("see extended attributes as another language does", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "f");
    await writeFile(path, "");
    const script =
      "import os,sys; os.setxattr(sys.argv[1], 'user.ü', bytes(range(256))); os.setxattr(sys.argv[1], 'user.empty', b'')";
    await runOk(findPeer("python3") ?? "python3", ["-c", script, path], { env: { PYTHONUTF8: "1" } });
    const entry = (await readTree(dir.path)).find(({ path }) => path === "f");
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString("hex");
    expect(entry?.xattrs).toEqual({ "user.empty": "", "user.ü": every });
  });

  it("see nanoseconds", async () => {
    await using dir = await tempDir();
    mkdirSync(join(dir.path, "d"));
    execFileSync("touch", ["-d", "2001-02-03T04:05:06.123456789Z", join(dir.path, "d")]);
    expect((await readTree(join(dir.path, "d")))[0]?.mtime).toBe(981_173_106_123_456_789n);
  });
});

const paths = (...layers: Parameters<typeof expectedTree>[0]) => expectedTree(layers).map(({ path }) => path);

describe("expectedTree", () => {
  it("applies whiteouts to what lower layers have, not to the layer they stand in", () => {
    const lower = [directory("d"), file("d/a"), file("d/b"), file("e")];
    expect(paths(lower, [whiteout("d/a"), whiteout("e")])).toEqual(["d", "d/b"]);
    expect(paths(lower, [file("d/a"), whiteout("d/a")])).toEqual(["d", "d/a", "d/b", "e"]);
    expect(paths(lower, [file("d/new"), opaque("d")])).toEqual(["d", "d/new", "e"]);
    expect(paths(lower, [opaque("")])).toEqual([]);
  });

  it("replaces a directory by a file with all that was below it, and keeps it below a directory", () => {
    const lower = [directory("d", { mode: 0o700 }), file("d/a")];
    expect(paths(lower, [file("d")])).toEqual(["d"]);
    expect(expectedTree([lower, [directory("d")]]).map(({ path, mode }) => [path, mode])).toEqual([
      ["d", 0o755],
      ["d/a", 0o644],
    ]);
  });
});

const pack = (seed: number) => packTree(randomTree(createRng(seed)));

describe("the generator", () => {
  it("gives the same tree for the same seed and another for another", () => {
    expect(pack(5).equals(pack(5))).toBe(true);
    expect(pack(5).equals(pack(6))).toBe(false);
  });
});
